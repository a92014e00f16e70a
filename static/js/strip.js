// Draws the pictures that are not drawn yet, three at a time: of a sheet as they come into view, of a strip all of them.

const AT_ONCE = 3; // the library takes no more of one visitor
const drawing = new Set();
let seen, watcher, pause, checked;

const put = (tile) => {
  const picture = tile.querySelector("img");
  Object.assign(picture, { src: picture.dataset.src, hidden: false });
  tile.querySelectorAll(".blank, progress").forEach((part) => part.remove());
  tile.removeAttribute("data-events");
};

const end = (tile, source) => { source.close(); drawing.delete(tile); next(); };

const draw = (tile) => {
  drawing.add(tile);
  const [bar, source] = [tile.querySelector("progress"), new EventSource(tile.dataset.events)];
  source.addEventListener("progress", ({ data }) => {
    const { step, of } = JSON.parse(data);
    Object.assign(bar, { hidden: false, value: of ? step / of : 0 });
  });
  source.addEventListener("done", ({ data }) => {
    const { state, sentence } = JSON.parse(data);
    if (state === "kept" && !checked) put(tile);
    else if (state !== "kept") Object.assign(tile, { title: sentence, className: "tile failed" });
    seen.delete(tile);
    end(tile, source);
    document.dispatchEvent(new Event("tile-done"));
  });
  // It is closed where the library does not answer, or others of this visitor wait.
  source.onerror = () => source.readyState === EventSource.CLOSED && setTimeout(end, pause, tile, source);
};

function next() {
  for (const tile of seen) if (!document.hidden && drawing.size < AT_ONCE && !drawing.has(tile)) draw(tile);
}

const look = (news) => {
  for (const { target, isIntersecting } of news) seen[isIntersecting && target.dataset.events ? "add" : "delete"](target);
  next();
};
const begin = () => {
  watcher?.disconnect();
  const { dataset } = document.querySelector("[data-sheet]");
  const [tiles, whole] = [document.querySelectorAll("[data-events]:not(main)"), dataset.sheet === "strip"];
  [pause, checked] = [Number(dataset.pause), dataset.checked !== undefined]; // by the library, which shows some alone
  [seen, watcher] = [new Set(whole ? tiles : []), new IntersectionObserver(look)];
  if (!whole) tiles.forEach((tile) => watcher.observe(tile));
  next();
};

addEventListener("pagehide", () => drawing.forEach(({ dataset }) => { // who goes on gives up the places of the rest
  const at = new URL(dataset.events, location);
  navigator.sendBeacon(new URL("leave", at), new URLSearchParams({ visitor: at.searchParams.get("visitor"), unseen: 1 }));
}));
document.addEventListener("visibilitychange", () => next());
document.addEventListener("sheet-renewed", begin);
begin();
