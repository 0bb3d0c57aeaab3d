/** The shipped word lists. Every word is one token; the lists together stay far below the 512-token limit. */

export const ADJECTIVES = [
  'amber', 'brisk', 'calm', 'dim', 'early', 'frosty', 'golden', 'hollow', 'iron',
  'jade', 'keen', 'little', 'misty', 'noble', 'old', 'pale', 'quiet', 'rusty',
] as const;

export const LANDMARKS = [
  'harbor', 'meadow', 'gate', 'mill', 'tower', 'bridge', 'valley', 'garden', 'cliff',
  'orchard', 'lagoon', 'quarry', 'forge', 'temple', 'market', 'cabin', 'island', 'canyon',
] as const;

export const PAGE_KINDS = ['port', 'farm', 'school', 'inn', 'shop', 'fort', 'mine', 'camp'] as const;

export const RELATIONS = ['guide', 'keeper', 'rival', 'twin', 'heir', 'friend'] as const;

/** Four words for each of six first letters. */
export const GOODS = [
  'bell', 'bowl', 'brick', 'brush', 'clay', 'coin', 'cork', 'cup', 'dish', 'door', 'drum', 'dust',
  'lamp', 'leaf', 'linen', 'lock', 'ring', 'root', 'rope', 'rug', 'salt', 'seed', 'soap', 'spoon',
] as const;

export const PEOPLE = ['bram', 'hugo', 'ines', 'lena', 'milo', 'nora', 'otto', 'vera'] as const;

export const PLACES = ['attic', 'cellar', 'hall', 'loft', 'shed', 'yard'] as const;

export const DIGITS = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9'] as const;
