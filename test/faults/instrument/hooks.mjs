/** Rewrites the source of compiled modules as they are loaded. A patch whose text is not found fails the load: no patch is silently off. */
import { PATCHES } from './patches.mjs';

let chosen = [];

export function initialize(names) {
  chosen = names.flatMap((name) => {
    if (!(name in PATCHES)) throw new Error(`no patch is called ${name}`);
    return PATCHES[name];
  });
}

export async function load(url, context, next) {
  const loaded = await next(url, context);
  const own = chosen.filter(({ file }) => url.endsWith(`/dist/${file}`));
  if (own.length === 0) return loaded;
  const source = own.reduce((text, { file, find, replace }) => {
    if (text.split(find).length !== 2) throw new Error(`patch of ${file}: expected once: ${find}`);
    return text.replace(find, () => replace);
  }, String(loaded.source));
  return { ...loaded, source };
}
