// Inside the cluster's namespaces: starts its parts in order and starts each again when it ends, as long as the cluster lives.
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, openSync, writeFileSync } from 'node:fs';
import { get as httpGet } from 'node:http';
import { get as httpsGet } from 'node:https';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { COMPONENTS } from './components.mjs';
import { SEEN } from './layout.mjs';

/** @import { Component } from './components.mjs' */

const AGAIN_AFTER_MS = 500;
const ASK_EVERY_MS = 100;
const logs = join(SEEN.state, 'logs');

/** @param {string} line */
const say = (line) => void process.stdout.write(`${new Date().toISOString()} ${line}\n`);

/** @param {Component} component */
function keep(component) {
  const output = openSync(join(logs, `${component.name}.log`), 'a');
  const start = () => {
    const child = spawn(component.command, component.args, { stdio: ['ignore', output, output] });
    let ended = false;
    /** @param {string} how */
    const again = (how) => {
      if (ended) return;
      ended = true;
      say(`${component.name} ${how}; it is started again`);
      setTimeout(start, AGAIN_AFTER_MS);
    };
    child.once('error', (error) => again(`could not be started: ${error.message}`));
    child.once('exit', (code, signal) => again(signal === null ? `ended with exit code ${code}` : `was ended by ${signal}`));
    if (child.pid !== undefined) writeFileSync(join(SEEN.state, 'pids', component.name), `${child.pid}\n`);
  };
  start();
}

/** @param {Component['ready']} ready @returns {Promise<boolean>} */
function answers(ready) {
  if ('file' in ready) return Promise.resolve(existsSync(ready.file));
  return new Promise((resolve) => {
    /** @param {import('node:http').IncomingMessage} response */
    const done = (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    };
    const asked = ready.url.startsWith('https:') ? httpsGet(ready.url, { rejectUnauthorized: false }, done) : httpGet(ready.url, done);
    asked.on('error', () => resolve(false));
    asked.setTimeout(2_000, () => asked.destroy());
  });
}

mkdirSync(logs, { recursive: true });
mkdirSync(join(SEEN.state, 'pids'), { recursive: true });
for (const component of COMPONENTS) {
  keep(component);
  while (!await answers(component.ready)) await delay(ASK_EVERY_MS);
  say(`${component.name} answers`);
}
