import { expect, it } from 'vitest';
import { nodeVersionProblem, platformProblem, prometheusVersionProblem, pythonVersionProblem, temporalVersionProblem } from '../../../../deploy/setup/versions.mjs';

it.each(['20.19.0', '20.20.2', '22.0.0', '24.1.0'])('Node %s will do', (version) => {
  expect(nodeVersionProblem(version)).toBeNull();
});

it.each(['18.20.4', '20.18.3', '9.0.0', ''])('Node %s is refused, with what to do', (version) => {
  expect(nodeVersionProblem(version)).toBe(
    `Stemma needs Node 20.19 or newer; this is Node ${version}. Install a newer Node (for instance with nvm: nvm install 22) and run the same command again.`,
  );
});

it.each(['3.11.0', '3.12.1', '3.13.7'])('Python %s will do', (version) => {
  expect(pythonVersionProblem(version)).toBeNull();
});

it.each(['2.7.18', '3.9.18', '3.10.13', '3.14.0', 'pypy'])('Python %s is refused', (version) => {
  expect(pythonVersionProblem(version)).toBe(`Python ${version} is not supported: Stemma needs 3.11 to 3.13`);
});

it('knows Temporal by the server in it', () => {
  expect(temporalVersionProblem('temporal version 0.0.0-DEV (Server 1.29.1, UI 2.42.1)')).toBeNull();
  expect(temporalVersionProblem('temporal version 1.9.0 (Server 1.31.0, UI 2.50.0)')).toBeNull();
  expect(temporalVersionProblem('temporal version 0.11.0 (Server 1.22.3, UI 2.21.3)')).toBe('its server is 1.22.3, at least 1.29 is needed');
  expect(temporalVersionProblem('')).toBe('it does not say which server it holds (no output)');
});

it('knows Prometheus by the first line it prints', () => {
  expect(prometheusVersionProblem('prometheus, version 3.13.5 (branch: , revision: unknown)')).toBeNull();
  expect(prometheusVersionProblem('prometheus, version 2.42.0+ds (branch: debian/sid, revision: 2.42.0)')).toBeNull();
  expect(prometheusVersionProblem('prometheus, version 2.31.2 (branch: HEAD)')).toBe('it is Prometheus 2.31.2, at least 2.42 is needed');
  expect(prometheusVersionProblem('prometheus, version  (branch: , revision: unknown)')).toContain('does not say which');
});

it('names the way out on Windows', () => {
  expect(platformProblem('linux')).toBeNull();
  expect(platformProblem('win32')).toContain('WSL 2');
});
