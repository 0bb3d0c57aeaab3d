import { describe, expect, it } from 'vitest';
import type { ActionRecord } from '../../../../core/environment.js';
import { isDependent, linkRecords } from '../../../../core/kag/record.js';

const records: ActionRecord[] = [
  { state: ['task', 'page:amber harbor'], action: { kind: 'tool', name: 'read_page', arguments: ['amber harbor'] }, observation: 'north of dun mill', verifier: null },
  { state: ['turn:0', 'page:dun mill'], action: { kind: 'tool', name: 'read_page', arguments: ['dun mill'] }, observation: 'built of slate', verifier: { name: 'grammar', passed: true } },
  { state: ['turn:0', 'turn:1', 'turn:1'], action: { kind: 'answer', name: 'answer', arguments: 'slate' }, observation: '', verifier: { name: 'outcome', passed: true } },
];

describe('knowledge-action graph', () => {
  const { nodes, edges } = linkRecords('e', records);

  it('links records with typed edges', () => {
    expect(edges).toEqual([
      { kind: 'support', from: 'e/task', to: 'e/turn:0/action' },
      { kind: 'support', from: 'page:amber harbor', to: 'e/turn:0/action' },
      { kind: 'production', from: 'e/turn:0/action', to: 'e/turn:0/observation' },
      { kind: 'dependency', from: 'e/turn:0/observation', to: 'e/turn:1/action' },
      { kind: 'support', from: 'page:dun mill', to: 'e/turn:1/action' },
      { kind: 'action-transition', from: 'e/turn:0/action', to: 'e/turn:1/action' },
      { kind: 'production', from: 'e/turn:1/action', to: 'e/turn:1/observation' },
      { kind: 'verification', from: 'e/turn:1/observation', to: 'e/turn:1/verification' },
      { kind: 'dependency', from: 'e/turn:0/observation', to: 'e/turn:2/action' },
      { kind: 'dependency', from: 'e/turn:1/observation', to: 'e/turn:2/action' },
      { kind: 'action-transition', from: 'e/turn:1/action', to: 'e/turn:2/action' },
      // An answer shows nothing: the verifier looks at the action itself.
      { kind: 'verification', from: 'e/turn:2/action', to: 'e/turn:2/verification' },
    ]);
  });

  it('has a node at both ends of every edge, and each once', () => {
    const ids = nodes.map((node) => node.id);
    expect(new Set(ids).size).toBe(ids.length);
    for (const { from, to } of edges) {
      expect(ids).toContain(from);
      expect(ids).toContain(to);
    }
    expect(nodes.find((node) => node.id === 'e/turn:2/verification')).toMatchObject({ kind: 'verification', label: 'outcome passed' });
  });

  it('is empty for an episode without records', () => {
    expect(linkRecords('e', [])).toEqual({ nodes: [], edges: [] });
  });

  it('refuses a record that builds on what had not happened', () => {
    expect(() => linkRecords('e', [{ ...(records[0] as ActionRecord), state: ['turn:0'] }])).toThrow('builds on turn 0');
  });

  it('knows which actions build on an earlier one', () => {
    expect(records.map(isDependent)).toEqual([false, true, true]);
  });
});
