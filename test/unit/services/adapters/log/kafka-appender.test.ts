/** What the appender does with a producer that fails in ways a real broker cannot be made to at will. */
import { expect, it } from 'vitest';
import { KafkaAppender } from '../../../../../services/adapters/log/kafka-appender.js';
import type { OutMessage } from '../../../../../services/adapters/log/kafka-client.js';
import { partitionOf } from '../../../../../services/adapters/log/kafka-partition.js';
import { StemmaError } from '../../../../../core/errors.js';
import { EPISODE, RUN, turn } from '../../../../support/log-events.js';
import { newEvent } from '../../../../../services/runtime/new-event.js';
import { turns } from '../../../../support/log-reading.js';

const PARTITIONS = 4;

class ProtocolError extends Error {
  override name = 'KafkaJSProtocolError';
  constructor(readonly type: string) { super(type); }
}

interface Sent {
  /** Counts the producers that were opened. */
  readonly producer: number;
  readonly messages: readonly OutMessage[];
}

function appenderThat(failures: readonly (Error | null)[]): { appender: KafkaAppender; sent: Sent[]; closed: () => number } {
  const sent: Sent[] = [];
  const ends = new Map<number, number>();
  let opened = 0;
  let closed = 0;
  const appender = new KafkaAppender({
    topic: 'topic', partitions: PARTITIONS,
    openProducer: async () => {
      const producer = (opened += 1);
      return {
        async send(_topic, messages) {
          const failure = failures[sent.length];
          sent.push({ producer, messages });
          if (failure) throw failure;
          const first = new Map<number, number>();
          for (const { partition } of messages) {
            const end = ends.get(partition) ?? 0;
            if (!first.has(partition)) first.set(partition, end);
            ends.set(partition, end + 1);
          }
          return first;
        },
        async close() { closed += 1; },
      };
    },
  });
  return { appender, sent, closed: () => closed };
}

it.each(['OUT_OF_ORDER_SEQUENCE_NUMBER', 'UNKNOWN_PRODUCER_ID', 'NOT_LEADER_FOR_PARTITION'])('after %s sends the same batch through a new producer', async (type) => {
  const { appender, sent, closed } = appenderThat([null, new ProtocolError(type), null]);
  await appender.append(turns(EPISODE, 0, 1));
  await appender.append(turns(EPISODE, 1, 4));
  expect(sent.map(({ producer, messages }) => [producer, messages.length])).toEqual([[1, 1], [1, 3], [2, 3]]);
  expect(sent[2]!.messages).toEqual(sent[1]!.messages);
  await appender.close();
  expect(closed()).toBe(2);
});

it('says for each event where it landed, in its order', async () => {
  const { appender } = appenderThat([]);
  const streams = ['episode/r1/a', 'episode/r1/b', 'episode/r1/c', 'episode/r1/d'];
  const events = [0, 1].flatMap((number) => streams.flatMap((stream) => turns(stream, number, number + 1)));
  const landed = await appender.append(events);
  expect(landed.map(({ partition }) => partition)).toEqual(events.map(({ stream }) => partitionOf(stream, PARTITIONS)));
  for (let partition = 0; partition < PARTITIONS; partition += 1) {
    const offsets = landed.filter((each) => each.partition === partition).map(({ offset }) => offset);
    expect(offsets).toEqual(offsets.map((_, at) => at));
  }
});

it('sends together what is asked in one turn, one send at a time, none over the limit of a broker', async () => {
  const { appender, sent } = appenderThat([]);
  const large = Array.from({ length: 40 }, (_, number) => newEvent({ stream: EPISODE, run: RUN, claim: 'c', seq: number + 1 }, turn(number, '', 30 * 1024)));
  await Promise.all([...turns(EPISODE, 0, 10).map((event) => appender.append([event])), appender.append(large)]);
  expect(sent.flatMap(({ messages }) => messages)).toHaveLength(50);
  expect(sent[0]!.messages.length).toBeGreaterThan(10);
  for (const { messages } of sent) expect(messages.reduce((sum, { value }) => sum + value.length, 0)).toBeLessThan(1_000_000);
});

it('does not try again what only a person can mend, and goes on with the next append', async () => {
  const { appender, sent } = appenderThat([new ProtocolError('TOPIC_AUTHORIZATION_FAILED')]);
  await expect(appender.append(turns(EPISODE, 0, 1))).rejects.toMatchObject({ code: 'INVALID' });
  await appender.append(turns(EPISODE, 1, 2));
  expect(sent).toHaveLength(2);
});

it('sends what is queued before it closes, and takes nothing after', async () => {
  const { appender, sent } = appenderThat([]);
  const asked = appender.append(turns(EPISODE, 0, 3));
  await appender.close();
  expect(await asked).toHaveLength(3);
  expect(sent).toHaveLength(1);
  await expect(appender.append(turns(EPISODE, 3, 4))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

it('fails what waits when the log has ended for good', async () => {
  const { appender } = appenderThat([new ProtocolError('UNKNOWN_TOPIC_OR_PARTITION')]);
  const asked = appender.append(turns(EPISODE, 0, 1));
  appender.fail(new StemmaError('log', 'NOT_FOUND', 'deleted', 'none'));
  await expect(asked).rejects.toMatchObject({ code: 'NOT_FOUND', message: 'deleted' });
});
