// Turns the pictures of a slideshow: has the next one drawn ahead, waits for it, and passes over what cannot be shown.

const TRIES = 20; // of pictures that cannot be shown, one after the other
const TRAIL = 50; // pictures that one can go back to

export const turnsOf = (words, source, pictureOf, { follow, leave }, say) => {
  const trail = []; // what was shown: [page, picture]
  let [at, count, waits, next, asked, stop] = [-1, 0, false, null, null, new AbortController()];

  const named = () => `${words.visitor}-${(count += 1)}`;
  const ready = async () => { next ??= { page: await source(), visitor: named() }; };

  const halt = () => {
    stop.abort();
    if (asked) {
      leave(asked.page, asked.visitor);
      asked.visitor = named(); // who has left a page is not heard under that name for a while
    }
    [asked, waits] = [null, false];
  };

  const ahead = async () => {
    stop = new AbortController();
    const { signal } = stop;
    await ready();
    if (signal.aborted || asked) return;
    asked = next;
    navigator.sendBeacon(new URL("ahead", next.page), new URLSearchParams({ visitor: next.visitor }));
  };

  const turn = async (by) => {
    if (waits) {
      halt();
      if (by > 0) next = null; // somebody does not want to wait for it
    }
    stop.abort();
    stop = new AbortController();
    const { signal } = stop;
    for (let tries = 0; at + by >= trail.length && tries < TRIES; tries += 1) {
      await ready();
      [asked, waits] = [next, true];
      const image = await pictureOf(next, words, signal, say, follow);
      signal.throwIfAborted();
      if (image) trail.push([next.page, image]);
      if (trail.length > TRAIL) [, at] = [trail.shift(), at - 1];
      [asked, waits, next] = [null, false, null];
    }
    if (trail[at + by]) at += by;
    return trail[at];
  };

  return { turn, ahead, halt };
};
