/** Default environments, and an episode played from given turns. */
import type { Environment, Json, Task, Transition } from '../../core/environment.js';
import { createEnvironments } from '../../environments/registry.js';

export const environments = createEnvironments({ search: {}, science: {}, instruction: {}, tools: {} });

export interface Played {
  readonly state: Json;
  readonly transitions: readonly Transition[];
}

export function play(environment: Environment, task: Task, turns: readonly string[], protocol = ''): Played {
  let state = environment.start(task, protocol);
  const transitions: Transition[] = [];
  for (const turn of turns) {
    const transition = environment.step(task, state, turn);
    transitions.push(transition);
    state = transition.state;
  }
  return { state, transitions };
}
