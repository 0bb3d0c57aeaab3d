import { Command, InvalidArgumentError } from 'commander';
import { StemmaError } from '../../../core/errors.js';
import { addKey, keysFileOrNew, readKeysFile, writeKeysFile } from '../../runtime/access/keys-file.js';
import { SCOPES, type Scope } from '../../runtime/access/scopes.js';
import type { CliDeps } from '../deps.js';
import { ageValue } from '../option-values.js';

interface AddOptions {
  readonly scopes: readonly Scope[];
  /** Milliseconds. */
  readonly expiresIn?: number;
}

/** Running gateways and workers see a change at their next request. */
export function keysCommand(deps: CliDeps): Command {
  return new Command('keys')
    .description('access keys of the gateway: who may do what')
    .addCommand(inherit(deps, addCommand(deps)))
    .addCommand(inherit(deps, new Command('list').description('names, scopes and ends; never tokens').action(() => list(deps))))
    .addCommand(inherit(deps, new Command('remove').description('refuse a key from now on').argument('<name>', 'a name of `keys list`').action((name: string) => remove(deps, name))));
}

function inherit({ terminal }: CliDeps, command: Command): Command {
  return command.exitOverride().configureOutput({ writeOut: (text) => terminal.print(text.trimEnd()), writeErr: (text) => terminal.say(text.trimEnd()) });
}

function addCommand(deps: CliDeps): Command {
  return new Command('add')
    .description('make a key and print its token, once')
    .argument('<name>', 'of a person or a program: what the log will say who it was')
    .requiredOption('--scopes <list>', `of ${SCOPES.join(', ')}`, scopesValue)
    .option('--expires-in <age>', 'as 12h or 90d; default never', ageValue)
    .action((name: string, options: AddOptions) => add(deps, name, options));
}

function add({ config, terminal }: CliDeps, name: string, { scopes, expiresIn }: AddOptions): void {
  const { keysFile } = config();
  const expiresAt = expiresIn === undefined ? {} : { expiresAt: new Date(Date.now() + expiresIn).toISOString() };
  const { file, token } = addKey(keysFileOrNew(keysFile), { name, scopes, ...expiresAt });
  writeKeysFile(keysFile, file);
  terminal.say(`Key ${name} (${scopes.join(', ')}) is in ${keysFile}. Its token is shown only now; keep it in a file that STEMMA_GATEWAY_TOKEN_FILE or a profile names.`);
  terminal.print(token);
}

function list({ config, terminal }: CliDeps): void {
  const { keys } = readKeysFile(config().keysFile);
  for (const { name, scopes, expiresAt } of keys) terminal.print(`${name}  ${scopes.join(',')}  ${expiresAt === undefined ? 'never expires' : `until ${expiresAt}`}`);
}

function remove({ config, terminal }: CliDeps, name: string): void {
  const { keysFile } = config();
  const file = readKeysFile(keysFile);
  const keys = file.keys.filter((key) => key.name !== name);
  if (keys.length === file.keys.length) throw new StemmaError('gateway', 'NOT_FOUND', `there is no key named ${name}`, 'See `npm run stemma -- keys list`.');
  writeKeysFile(keysFile, { ...file, keys });
  terminal.say(`Removed ${name}.`);
}

function scopesValue(text: string): Scope[] {
  const names = text.split(',').map((name) => name.trim());
  const scopes = SCOPES.filter((scope) => names.includes(scope));
  if (scopes.length !== new Set(names).size) throw new InvalidArgumentError(`expected some of ${SCOPES.join(',')}, separated by commas.`);
  return scopes;
}
