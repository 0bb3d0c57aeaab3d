import { join } from 'node:path';
import { Command, InvalidArgumentError, Option } from 'commander';
import { StemmaError } from '../../../core/errors.js';
import { startKafka } from '../../runtime/kafka-process.js';
import type { CliDeps } from '../deps.js';
import { aborted, withShutdown } from '../with-shutdown.js';

interface Options {
  readonly nodes: '1' | '3';
  readonly port?: number;
}

export function kafkaCommand(deps: CliDeps): Command {
  return new Command('kafka')
    .description('run real Kafka brokers on this machine until Ctrl-C (npm run kafka fetches them first)')
    .addOption(new Option('--nodes <n>', 'three replicate every event and survive the loss of any one').choices(['1', '3']).default('1'))
    .option('--port <n>', 'of the first node, when its data are created; otherwise any free one, the same ever after', portValue)
    .action((options: Options) => kafka(deps, options));
}

async function kafka(deps: CliDeps, options: Options): Promise<void> {
  const { home, tools } = deps.config();
  if (tools.java === '' || tools.kafka === '') throw new StemmaError('setup', 'NOT_FOUND', 'no Kafka here yet', 'Start it with: npm run kafka');
  const nodes = Number(options.nodes);
  const directory = join(home, nodes === 1 ? 'kafka' : `kafka-${nodes}`);
  await withShutdown(deps, async (stopAsked) => {
    const running = await startKafka({ java: tools.java, libraries: tools.kafka, directory, nodes, port: options.port });
    deps.terminal.print(`kafka://${running.brokers.join(',')}`);
    deps.terminal.say(nodes === 1
      ? 'One node: what it acknowledges survives the death of its process, not a loss of power. Ctrl-C stops it; its data stay.'
      : 'Every event is on two of three nodes before it is acknowledged. Ctrl-C stops them; their data stay.');
    deps.terminal.say(`data     ${directory}`);
    await aborted(stopAsked);
    await running.stop();
  });
}

function portValue(text: string): number {
  const port = Number(text);
  if (!/^\d+$/.test(text) || port < 1 || port > 65_535) throw new InvalidArgumentError('expected a port, 1 to 65535.');
  return port;
}
