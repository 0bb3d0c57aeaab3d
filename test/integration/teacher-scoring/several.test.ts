/** Several teacher-scoring processes: each scores a part, and the part of one that dies goes to another, within the same call. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { expect, it, vi } from 'vitest';
import { teacherScoringClient } from '../../../services/teacher-scoring/client.js';
import { serveTeacherScoring } from '../../../services/teacher-scoring/server.js';
import type { ScoringRequest } from '../../../services/training/scoring.js';

const SERVER = resolve(import.meta.dirname, '../../../dist/services/teacher-scoring/server.js');
/** Takes what it is asked and never answers. */
const SILENT = `
  const { serveTeacherScoring } = await import(${JSON.stringify(SERVER)});
  const { address } = await serveTeacherScoring({ scoreEpisodes() { console.log('asked'); return new Promise(() => undefined); } });
  console.log(address);
`;

it('a part that a killed process had taken is asked of another', async () => {
  const killed = spawn(process.execPath, ['--input-type=module', '-e', SILENT], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [address] = (await once(killed.stdout, 'data')) as [Buffer];
  const asked: Pick<ScoringRequest, 'part' | 'parts'>[] = [];
  const other = await serveTeacherScoring({
    async scoreEpisodes({ episodes, part = -1, parts }) {
      asked.push({ part, parts });
      return episodes.map((episode, index) => (index === part ? { episode, failure: `part ${part} of ${parts}` } : { episode }));
    },
  });
  const client = teacherScoringClient(`${address.toString().trim()},${other.address}`);
  try {
    const scored = client.scoreEpisodes({ run: 'run', stage: 'stage', purpose: 'teacher', step: 1, episodes: ['a', 'b', 'c'] });
    await Promise.all([once(killed.stdout, 'data'), vi.waitFor(() => expect(asked).toEqual([{ part: 1, parts: 2 }]))]);
    killed.kill('SIGKILL');
    expect(await scored).toEqual([{ episode: 'a', failure: 'part 0 of 2' }, { episode: 'b', failure: 'part 1 of 2' }, { episode: 'c' }]);
    expect(asked).toEqual([{ part: 1, parts: 2 }, { part: 0, parts: 2 }]);
  } finally {
    client.close();
    await other.close();
    killed.kill('SIGKILL');
  }
});

it('a name works as an address does', async () => {
  const other = await serveTeacherScoring({ scoreEpisodes: ({ episodes }) => Promise.resolve(episodes.map((episode) => ({ episode }))) });
  const client = teacherScoringClient(other.address.replace('127.0.0.1', 'localhost'));
  try {
    expect(await client.scoreEpisodes({ run: 'run', stage: 'stage', purpose: 'teacher', step: 1, episodes: ['a'] })).toEqual([{ episode: 'a' }]);
  } finally {
    client.close();
    await other.close();
  }
});
