// Draws those of many places that are looked at: after a moment's rest, in their order, few at once. What a sheet or a
// strip makes of them is its own: `hear` is told how a place comes on, `end` what became of it.

const OVER = ["kept", "failed", "gone"];
// `told` hears whether the library takes more just now, `wanted` says whether anything is to be drawn at all.
export const looking = ({ most, rest, wait, few, visitor }, { follow, leave }, { hear, end, told, wanted }) => {
  const places = new Map(); // URL of a page → the link that shows it
  const seen = new Set(); // URLs that are looked at
  const drawing = new Map(); // URL → [what stops it, who waits for it]
  let timer, left, count = 0, held = 0; // until when nothing new is asked for, as the library wished
  const awake = () => !left && !document.hidden && wanted();
  const at = (url, say, news) => { if (places.has(url)) say(places.get(url), news); };

  const draw = async (url) => {
    const stop = new AbortController();
    const asks = { few, visitor: `${visitor}-${(count += 1)}` }; // who has left is not heard under that name for a while
    drawing.set(url, [stop, asks.visitor]);
    at(url, hear, {});
    const last = await follow(url, asks, stop.signal, (news) => at(url, hear, news)).catch(() => ({ state: "lost" }));
    drawing.delete(url);
    at(url, end, last);
    if (OVER.includes(last.state)) {
      places.delete(url);
    } else if (!stop.signal.aborted) {
      held = Math.max(held, Date.now() + 1000 * (last.wait || wait));
      setTimeout(go, held - Date.now());
    }
    go();
  };

  const go = () => {
    const free = Date.now() >= held;
    told(free);
    for (const url of places.keys()) {
      if (free && seen.has(url) && awake() && drawing.size < most && !drawing.has(url)) draw(url);
    }
  };

  const settle = () => {
    for (const [url, [stop, who]] of drawing) if (!(seen.has(url) && awake())) { stop.abort(); leave(url, who); }
    clearTimeout(timer);
    timer = setTimeout(go, rest);
  };

  const watcher = new IntersectionObserver((entries) => {
    for (const { target, isIntersecting } of entries) seen[isIntersecting ? "add" : "delete"](target.href);
    settle();
  });
  document.addEventListener("visibilitychange", settle);
  for (const event of ["pagehide", "pageshow"]) addEventListener(event, () => { left = event === "pagehide"; settle(); });
  const show = (links, whole) => {
    places.clear();
    watcher.disconnect();
    for (const link of links) places.set(link.href, link);
    places.forEach((link, url) => (whole ? seen.add(url) : watcher.observe(link)));
    settle();
  };
  return { show, settle };
};
