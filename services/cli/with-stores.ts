import type { CliDeps } from './deps.js';
import type { Stores } from './platform.js';

/** Read-only stores for the length of one piece of work. */
export async function withStores<T>(deps: CliDeps, work: (stores: Stores) => Promise<T>): Promise<T> {
  const stores = await (await deps.doors()).openStores(deps.config());
  try {
    return await work(stores);
  } finally {
    await stores.close();
  }
}
