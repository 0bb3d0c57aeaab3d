/**
 * Pure functions computed once for all schedules: every restarted process asks again for the same environments, tasks and
 * tokens. Only what has no state and no port is here.
 */
import type { Environments } from '../../environments/registry.js';
import type { Chat } from '../../services/runtime/chat.js';

function once<A extends readonly unknown[], R>(make: (...args: A) => R, keyOf: (...args: A) => string): (...args: A) => R {
  const known = new Map<string, R>();
  return (...args) => {
    const key = keyOf(...args);
    if (!known.has(key)) known.set(key, make(...args));
    return known.get(key)!;
  };
}

export function onceEnvironments(create: (settings: never) => Environments): (settings: never) => Environments {
  return once((settings) => Object.fromEntries(Object.entries(create(settings)).map(([domain, environment]) => [
    domain, { ...bound(environment), task: once(environment.task.bind(environment), (id) => id), demonstrate: once(environment.demonstrate.bind(environment), (task, style) => `${task.id} ${style}`) },
  ])) as unknown as Environments, (settings) => JSON.stringify(settings));
}

/** Its own and its class's methods. */
function bound<T extends object>(value: T): T {
  return Object.assign(Object.create(value) as T, value);
}

export function onceChat(open: (tokenizerJson: string) => Chat): (tokenizerJson: string) => Chat {
  return once((json) => {
    const chat = open(json);
    return {
      ...chat,
      encodePrompt: once(chat.encodePrompt, (messages) => JSON.stringify(messages)),
      encodeObservation: once(chat.encodeObservation, (text) => text),
      encodeAssistant: once(chat.encodeAssistant, (text) => text),
      decode: once(chat.decode, (tokens) => tokens.join(' ')),
    };
  }, (json) => json);
}
