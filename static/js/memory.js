// What this browser keeps of pages: the shelf and what was seen lately, newest first. Paths are kept without the site's
// prefix and never trusted: whatever is not the canonical path of a page is left out.

export const [SHELF, HISTORY, UNSEEN] = ["babelia-shelf", "babelia-history", "babelia-history-off"];
const SITE = document.querySelector("[data-root]").dataset;
const MOST = Number(SITE.most);
const NAMED = /^\/([a-z0-9.-]{1,32})\/(key|stacks|prompt)\/((?:[\w.~-]|%[0-9A-F]{2})+)\/([1-9]\d{0,2})\/$/;
const MARKED = /^\/([a-z0-9.-]{1,32})\/(mark)\/([a-z2-7]{26})\/$/;
const LIMITS = { key: 64, stacks: 64, prompt: 500, mark: 26 };

// What a path names: { name, page, edition }; null for what is no path of a page.
export const read = (path) => {
  const [, edition, kind, quoted, page] = (typeof path === "string" && (NAMED.exec(path) ?? MARKED.exec(path))) || [];
  try {
    const name = decodeURIComponent(quoted ?? "%");
    const fits = [...name].length <= LIMITS[kind] && (kind === "prompt" || /^[\w-]+$/.test(name));
    return fits && Number(page ?? 1) <= SITE.pages ? { name, page, edition } : null;
  } catch {
    return null; // no UTF-8
  }
};

// From a path to where it leads on this site, and back; null for what leads to no page.
export const where = (path) => SITE.root + path.slice(1);
export const path = (place) => {
  const found = place.startsWith(SITE.root) ? place.slice(SITE.root.length - 1) : "";
  return read(found) && found;
};

// The entries among what may be anything: each page once, the first MOST of them.
export const entries = (given) => {
  const found = new Map();
  for (const each of Array.isArray(given) ? given : []) {
    const page = found.size < MOST && read(each?.path);
    const at = Number.isSafeInteger(each?.at) ? each.at : 0;
    if (page && !found.has(each.path)) found.set(each.path, { path: each.path, name: page.name, at });
  }
  return [...found.values()];
};

export const remember = (change) => {
  try {
    return change(localStorage) ?? true;
  } catch {
    return null; // a browser that remembers nothing, or a memory that is full or broken
  }
};

export const list = (key) => entries(remember((memory) => JSON.parse(memory.getItem(key))));
export const keep = (key, given) => remember((memory) => memory.setItem(key, JSON.stringify(entries(given))));
export const without = (key, path) => list(key).filter((each) => each.path !== path);
export const put = (key, path) => keep(key, [{ path, at: Date.now() }, ...without(key, path)]);

// Puts more beside what is there, of which nothing is lost; how many are new, null where the browser takes nothing.
export const merge = (key, more) => {
  const before = list(key);
  const all = entries([...before, ...entries(more)]).sort((one, other) => other.at - one.at);
  return keep(key, all) && all.length - before.length;
};
