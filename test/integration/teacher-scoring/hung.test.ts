/** A teacher-scoring process that hangs: its kernel goes on to accept connections, and nobody waits for its two-minute deadline. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { resolve } from 'node:path';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { teacherScoringClient } from '../../../services/teacher-scoring/client.js';

const SERVER = resolve(import.meta.dirname, '../../../dist/services/teacher-scoring/server.js');
/** Answers about no episodes at once, about one never. */
const SERVES = `
  const { serveTeacherScoring } = await import(${JSON.stringify(SERVER)});
  const { address } = await serveTeacherScoring({ scoreEpisodes: ({ episodes }) => episodes.length === 0 ? Promise.resolve([]) : new Promise(() => undefined) });
  console.log(address);
`;
const request = { run: 'run', stage: 'stage', purpose: 'teacher', step: 1 } as const;
/** Far below the deadline of a call. */
const NOTICED = 60_000;

let server: ChildProcess;
let client: ReturnType<typeof teacherScoringClient>;
beforeAll(async () => {
  server = spawn(process.execPath, ['--input-type=module', '-e', SERVES], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [address] = (await once(server.stdout!, 'data')) as [Buffer];
  client = teacherScoringClient(address.toString().trim());
});
afterAll(() => {
  client.close();
  server.kill('SIGKILL');
});

it('fails what waits for it and what asks anew as retriable, and serves again when it wakes', async () => {
  const ask = (...episodes: string[]): Promise<unknown> => client.scoreEpisodes({ ...request, episodes });
  expect(await ask()).toEqual([]);
  const pending = ask('an episode').catch((error: unknown) => error);
  server.kill('SIGSTOP');
  expect(await pending).toMatchObject({ boundary: 'scorer', code: 'UNAVAILABLE', retriable: true });
  await expect(ask()).rejects.toMatchObject({ boundary: 'scorer', code: 'UNAVAILABLE', retriable: true });
  server.kill('SIGCONT');
  await vi.waitFor(async () => expect(await ask()).toEqual([]), { timeout: NOTICED });
}, NOTICED);
