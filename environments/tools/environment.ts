/** Tools: requests to a stateful inventory. The outcome is the final state; process rubrics come from the recorded calls. */
import { makeEnvironment } from '../domain.js';
import type { CallFact, CallOutcome, DomainEnvironment, EpisodeState, Judgement } from '../domain.js';
import type { Random } from '../random.js';
import type { RawSettings } from '../settings.js';
import { drawForSplit } from '../task-key.js';
import { answerTurn, callTurn } from '../turn.js';
import { DIGITS, GOODS, PLACES } from '../words.js';
import { dependencyPaths } from './graph.js';
import { INVENTORY_WORDS, TOOLS, applyTool, describeInventory } from './inventory.js';
import type { Inventory, Item, ToolName } from './inventory.js';
import { PHRASES, PHRASE_WORDS } from './phrases.js';
import type { Binding, Phrase, SupportCall } from './phrases.js';
import { TOOLS_VARIANTS, readToolsSettings } from './settings.js';

interface Request {
  readonly prompt: string;
  /** The goal state, as describeInventory spells it. */
  readonly answer: string;
  readonly initial: Inventory;
  readonly support: readonly { readonly name: ToolName; readonly words: readonly string[] }[];
}

export function createToolsEnvironment(raw: RawSettings): DomainEnvironment {
  const settings = readToolsSettings(raw);
  return makeEnvironment<Request, Inventory>({
    domain: 'tools', revision: 1, settings, variants: TOOLS_VARIANTS, tools: Object.keys(TOOLS),
    vocabulary: [...Object.keys(TOOLS), ...INVENTORY_WORDS, ...PHRASE_WORDS, ...GOODS, ...PLACES, ...DIGITS, 'done'],
    create: (space, key) => drawForSplit(space, key, (random) => drawRequest(random, Number(key.variant[0]), settings.items)),
    world: (request) => request.initial,
    call: (_request, state, call) => useTool(state, call.name as ToolName, call.words),
    judge,
    expert: (request) => [...request.support.map((call) => callTurn(call.name, ...call.words)), answerTurn('done')],
  });
}

/** Paths of one, two and three calls that have a phrase. */
const PHRASES_BY_CALLS = [1, 2, 3].map((calls) => dependencyPaths(calls).flatMap((path) => PHRASES[path] ?? []));

/** Each request is screened by running its support path. */
function drawRequest(random: Random, calls: number, itemCount: number): Request {
  for (let attempt = 0; attempt < 1000; attempt++) {
    const phrase = random.pick(PHRASES_BY_CALLS[calls - 1] as readonly Phrase[]);
    const initial = drawInventory(random, itemCount, phrase.reserved === true);
    const request = bind(random, phrase, initial);
    if (request !== null) return request;
  }
  throw new RangeError(`no executable request of ${calls} calls in 1000 draws`);
}

/** Items of different names; the first stands alone in its place and is what requests ask for. */
function drawInventory(random: Random, itemCount: number, reserved: boolean): Inventory {
  const names = random.sample(GOODS, itemCount);
  const [held, ...elsewhere] = random.shuffled(PLACES) as [string, ...string[]];
  const items = names.map((name, i): Item => {
    const count = random.between(2, 9);
    return { name, place: i === 0 ? held : random.pick(elsewhere), count, reserved: i === 0 && reserved ? random.between(1, count) : 0 };
  });
  return { items, shipped: [] };
}

/** null where a support call would be refused or would change nothing. */
function bind(random: Random, phrase: Phrase, initial: Inventory): Request | null {
  const [item, other] = initial.items as [Item, Item];
  const binding: Binding = {
    item: item.name, itemCount: item.count, held: item.place, other: other.name, otherCount: other.count, otherPlace: other.place,
    count: random.between(1, 9), place: random.pick(PLACES), fresh: random.pick(GOODS),
  };
  const support = phrase.support(binding).map(spellCall);
  let inventory = initial;
  for (const call of support) {
    const result = applyTool(inventory, call.name, call.words);
    if (!result.ok || (TOOLS[call.name].mutates && describeInventory(result.inventory) === describeInventory(inventory))) return null;
    inventory = result.inventory;
  }
  return { prompt: `do ${phrase.request(binding)}`, answer: describeInventory(inventory), initial: shuffleItems(random, initial), support };
}

/** So that the item asked for is not always the first. */
function shuffleItems(random: Random, inventory: Inventory): Inventory {
  return { ...inventory, items: random.shuffled(inventory.items) };
}

function spellCall([name, ...values]: SupportCall): Request['support'][number] {
  return { name: name as ToolName, words: values.flatMap((value) => (typeof value === 'number' ? [...String(value)] : [value])) };
}

function useTool(state: EpisodeState<Inventory>, name: ToolName, words: readonly string[]): CallOutcome<Inventory> {
  const result = applyTool(state.world, name, words);
  return {
    world: result.inventory, observation: result.observation, ok: result.ok,
    arguments: { words }, evidence: [], verifier: { name: 'accepted', passed: result.ok },
  };
}

/** Rubrics: right tools, right arguments, right order, nothing refused or malformed, no other change of state. */
function judge(request: Request, state: EpisodeState<Inventory>): Judgement {
  const answered = state.answer !== null;
  const correct = answered && describeInventory(state.world) === request.answer;
  const made = state.calls.filter((call) => call.ok);
  const changes = made.filter(isChange).map(keyOf);
  const wanted = request.support.filter(isChange).map(keyOf);
  const names = made.map((call) => call.name);
  const rubrics = [
    request.support.every((call) => names.includes(call.name)),
    wanted.every((key) => changes.includes(key)),
    isSubsequence(request.support.map((call) => call.name), names),
    made.length > 0 && made.length === state.turn - Number(answered),
    made.length > 0 && changes.length <= wanted.length && changes.every((key) => wanted.includes(key)),
  ];
  return { correct, formatOk: state.answer === 'done', rubrics, fraction: Number(correct) };
}

function isChange(call: { readonly name: string }): boolean {
  return TOOLS[call.name as ToolName].mutates;
}

function keyOf(call: Pick<CallFact, 'name' | 'words'>): string {
  return [call.name, ...call.words].join(' ');
}

function isSubsequence(wanted: readonly string[], made: readonly string[]): boolean {
  let at = 0;
  for (const name of made) if (name === wanted[at]) at++;
  return at === wanted.length;
}
