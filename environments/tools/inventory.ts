/** The mock inventory: items in places, counts, reservations, shipments. Every tool is a pure function of the state. */
import { PLACES } from '../words.js';

export type Item = { readonly name: string; readonly place: string; readonly count: number; readonly reserved: number };
export type Inventory = {
  readonly items: readonly Item[];
  /** In the order they were sent. */
  readonly shipped: readonly { readonly name: string; readonly count: number }[];
};

export type ParameterType = 'item' | 'name' | 'place' | 'count';
export type ToolName = 'list' | 'total' | 'get' | 'add' | 'remove' | 'move' | 'rename' | 'reserve' | 'release' | 'ship';

export interface ToolSpec {
  readonly parameters: readonly ParameterType[];
  readonly mutates: boolean;
}

export const TOOLS: { readonly [N in ToolName]: ToolSpec } = {
  list: { parameters: ['place'], mutates: false },
  total: { parameters: ['place'], mutates: false },
  get: { parameters: ['item'], mutates: false },
  add: { parameters: ['item', 'count'], mutates: true },
  remove: { parameters: ['item', 'count'], mutates: true },
  move: { parameters: ['item', 'place'], mutates: true },
  rename: { parameters: ['item', 'name'], mutates: true },
  reserve: { parameters: ['item', 'count'], mutates: true },
  release: { parameters: ['item'], mutates: true },
  ship: { parameters: ['item'], mutates: true },
};

export const INVENTORY_WORDS = ['at', 'count', 'reserved', 'nothing', ',', 'ok', 'error', 'needs', 'bad', 'item', 'name', 'place', 'no', 'not', 'enough', 'taken'] as const;

export interface ToolResult {
  readonly inventory: Inventory;
  readonly observation: string;
  readonly ok: boolean;
}

const MAX_COUNT = 99;

/** Types first, then the state: a refused call says why and changes nothing. Count is spelled by digits and comes last. */
export function applyTool(inventory: Inventory, name: ToolName, words: readonly string[]): ToolResult {
  const values = bindParameters(name, words);
  if (values === null) return refuse(inventory, `${name} needs ${TOOLS[name].parameters.join(' ')}`);
  const bad = TOOLS[name].parameters.find((type, i) => !wellTyped(type, values[i] as string));
  if (bad !== undefined) return refuse(inventory, `bad ${bad}`);
  const [first, second = ''] = values as [string, string?];
  if (name === 'list' || name === 'total') return lookAt(inventory, name, first);
  const item = inventory.items.find((entry) => entry.name === first);
  if (item === undefined) return refuse(inventory, 'no item');
  return name === 'get' ? { inventory, observation: describe(item), ok: true } : change(inventory, name, { item, value: second });
}

function change(inventory: Inventory, name: Exclude<ToolName, 'list' | 'total' | 'get'>, { item, value }: { readonly item: Item; readonly value: string }): ToolResult {
  if (name === 'ship') return item.reserved === 0 ? refuse(inventory, 'not reserved') : ship(inventory, item);
  if (name === 'rename' && inventory.items.some((entry) => entry.name === value)) return refuse(inventory, 'name taken');
  const changed = CHANGES[name](item, value);
  if (typeof changed === 'string') return refuse(inventory, changed);
  return { inventory: replace(inventory, { ...item, ...changed }, item.name), observation: 'ok', ok: true };
}

/** What a call changes of its item, or why it may not. */
const CHANGES: { readonly [N in 'add' | 'remove' | 'move' | 'rename' | 'reserve' | 'release']: (item: Item, value: string) => Partial<Item> | string } = {
  add: (item, value) => (item.count + Number(value) > MAX_COUNT ? 'bad count' : { count: item.count + Number(value) }),
  remove: (item, value) => (free(item) < Number(value) ? 'not enough' : { count: item.count - Number(value) }),
  move: (_item, value) => ({ place: value }),
  rename: (_item, value) => ({ name: value }),
  reserve: (item, value) => (free(item) < Number(value) ? 'not enough' : { reserved: item.reserved + Number(value) }),
  release: (item) => (item.reserved === 0 ? 'not reserved' : { reserved: 0 }),
};

function free(item: Item): number {
  return item.count - item.reserved;
}

function refuse(inventory: Inventory, problem: string): ToolResult {
  return { inventory, observation: `error ${problem}`, ok: false };
}

/** What the verifier compares: every item, by name, and every shipment in one line. */
export function describeInventory(inventory: Inventory): string {
  const items = inventory.items.map((item) => `${item.name} ${item.place} ${item.count} ${item.reserved}`).sort();
  const shipped = inventory.shipped.map((entry) => `shipped ${entry.name} ${entry.count}`);
  return [...items, ...shipped].join(' ; ');
}

function bindParameters(name: ToolName, words: readonly string[]): string[] | null {
  const { parameters } = TOOLS[name];
  if (words.length < parameters.length) return null;
  const last = parameters.length - 1;
  if (parameters[last] === 'count') return [...words.slice(0, last), words.slice(last).join('')];
  return words.length === parameters.length ? words.slice() : null;
}

function wellTyped(type: ParameterType, value: string): boolean {
  switch (type) {
    case 'place': return (PLACES as readonly string[]).includes(value);
    case 'count': return /^[1-9]\d?$/.test(value);
    case 'item': case 'name': return /^[a-z]+$/.test(value) && !(PLACES as readonly string[]).includes(value);
  }
}

function lookAt(inventory: Inventory, name: 'list' | 'total', place: string): ToolResult {
  const items = inventory.items.filter((item) => item.place === place);
  const total = items.reduce((sum, item) => sum + item.count, 0);
  const observation = name === 'total' ? [...String(total)].join(' ') : items.map((item) => item.name).join(' , ') || 'nothing';
  return { inventory, observation, ok: true };
}

function describe(item: Item): string {
  const spelled = (value: number): string => [...String(value)].join(' ');
  return `at ${item.place} count ${spelled(item.count)}${item.reserved > 0 ? ` reserved ${spelled(item.reserved)}` : ''}`;
}

function ship(inventory: Inventory, item: Item): ToolResult {
  const next = replace(inventory, { ...item, count: item.count - item.reserved, reserved: 0 }, item.name);
  return { inventory: { items: next.items, shipped: [...inventory.shipped, { name: item.name, count: item.reserved }] }, observation: 'ok', ok: true };
}

function replace(inventory: Inventory, item: Item, name: string): Inventory {
  return { ...inventory, items: inventory.items.map((entry) => (entry.name === name ? item : entry)) };
}
