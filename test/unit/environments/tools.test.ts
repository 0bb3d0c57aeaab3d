import { describe, expect, it } from 'vitest';
import { TOOL_EDGES, dependencyPaths, toolsOfPath } from '../../../environments/tools/graph.js';
import { TOOLS, applyTool } from '../../../environments/tools/inventory.js';
import type { Inventory, ToolName } from '../../../environments/tools/inventory.js';
import { PHRASES } from '../../../environments/tools/phrases.js';
import { environments, play } from '../../support/environments.js';

const stock: Inventory = {
  items: [{ name: 'lamp', place: 'attic', count: 4, reserved: 0 }, { name: 'rope', place: 'attic', count: 12, reserved: 2 }],
  shipped: [],
};
const use = (call: string, inventory = stock) => {
  const [name, ...words] = call.split(' ') as [ToolName, ...string[]];
  return applyTool(inventory, name, words);
};

describe('the inventory', () => {
  it('has at least eight typed tools', () => {
    expect(Object.keys(TOOLS).length).toBeGreaterThanOrEqual(8);
  });

  it.each([
    ['list attic', 'lamp , rope'], ['list yard', 'nothing'], ['total attic', '1 6'], ['get rope', 'at attic count 1 2 reserved 2'], ['get lamp', 'at attic count 4'],
  ])('%s shows "%s" and changes nothing', (call, observation) => {
    expect(use(call)).toEqual({ inventory: stock, observation, ok: true });
  });

  it.each([
    ['add lamp 3', { name: 'lamp', place: 'attic', count: 7, reserved: 0 }],
    ['remove lamp 4', { name: 'lamp', place: 'attic', count: 0, reserved: 0 }],
    ['move lamp yard', { name: 'lamp', place: 'yard', count: 4, reserved: 0 }],
    ['rename lamp cup', { name: 'cup', place: 'attic', count: 4, reserved: 0 }],
    ['reserve lamp 2', { name: 'lamp', place: 'attic', count: 4, reserved: 2 }],
  ])('%s', (call, item) => {
    const result = use(call);
    expect(result).toMatchObject({ observation: 'ok', ok: true });
    expect(result.inventory.items).toEqual([item, stock.items[1]]);
  });

  it('ships what is reserved, and releases it', () => {
    expect(use('ship rope').inventory).toEqual({
      items: [stock.items[0], { name: 'rope', place: 'attic', count: 10, reserved: 0 }], shipped: [{ name: 'rope', count: 2 }],
    });
    expect(use('release rope').inventory.items[1]).toMatchObject({ count: 12, reserved: 0 });
  });

  it.each([
    ['add lamp', 'error add needs item count'], ['add', 'error add needs item count'], ['get lamp rope', 'error get needs item'],
    ['add lamp rope', 'error bad count'], ['add lamp 0', 'error bad count'], ['add lamp 9 9', 'error bad count'], ['add lamp 1 2 3', 'error bad count'],
    ['add 3 lamp', 'error bad item'], ['list lamp', 'error bad place'], ['move lamp rope', 'error bad place'], ['get attic', 'error bad item'],
    ['get cup', 'error no item'], ['remove lamp 5', 'error not enough'], ['reserve rope 1 1', 'error not enough'],
    ['ship lamp', 'error not reserved'], ['release lamp', 'error not reserved'], ['rename lamp rope', 'error name taken'],
  ])('refuses "%s": %s', (call, observation) => {
    expect(use(call)).toEqual({ inventory: stock, observation, ok: false });
  });
});

describe('the tool graph', () => {
  it('ties tools by what one gives and another needs', () => {
    expect(TOOL_EDGES).toContainEqual({ from: 'reserve', to: 'ship', via: 'reservation' });
    expect(TOOL_EDGES).toContainEqual({ from: 'get', to: 'add', via: 'count' });
    expect(TOOL_EDGES.some((edge) => edge.from === 'ship')).toBe(false);
  });

  it('every phrase is a dependency path of the graph, of one to three calls', () => {
    const paths = [1, 2, 3].flatMap(dependencyPaths);
    for (const path of Object.keys(PHRASES)) expect(paths).toContain(path);
    expect(new Set(Object.keys(PHRASES).map((path) => toolsOfPath(path).length))).toEqual(new Set([1, 2, 3]));
  });
});

describe('verdicts', () => {
  const { tools } = environments;
  const index = Array.from({ length: 300 }, (_, i) => i).find((i) => /^do ship \d \w+$/.test(tools.task(tools.taskId('train', i, '2-call')).prompt[0]!.content))!;
  const task = tools.task(tools.taskId('train', index, '2-call'));
  const [reserve, ship, done] = tools.demonstrate(task, '') as [string, string, string];
  const item = ship.split(' ')[2] as string;
  const verdict = (...turns: string[]) => tools.verify(task, play(tools, task, turns).state);

  it('the outcome is the final state; at least three rubrics', () => {
    expect(verdict(reserve, ship, done)).toMatchObject({ correct: true, rubrics: [true, true, true, true, true] });
  });

  it.each([
    ['right tools', [reserve, done], [false, false, false, true, true]],
    ['wrong argument', [`<call> reserve ${item} 1 1 </call>`, done], [false, false, false, false, false]],
    ['order', [ship, reserve, done], [false, false, false, false, true]],
    ['a refused call on the way', [ship, reserve, ship, done], [true, true, true, false, true]],
    ['a side effect', [`<call> add ${item} 1 </call>`, reserve, ship, done], [true, true, true, true, false]],
    ['a malformed turn', ['lamp', reserve, ship, done], [true, true, true, false, true]],
    ['nothing done', [done], [false, false, false, false, false]],
  ] as const)('rubrics see %s', (_name, turns, rubrics) => {
    expect(verdict(...turns).rubrics).toEqual(rubrics);
  });

  it('is not correct before the answer, nor with a side effect', () => {
    expect(verdict(reserve, ship).correct).toBe(false);
    expect(verdict(`<call> add ${item} 1 </call>`, reserve, ship, done).correct).toBe(false);
    expect(verdict(ship, reserve, ship, done).correct).toBe(true);
  });
});
