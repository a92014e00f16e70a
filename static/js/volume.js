// Draws the blank places of a volume's sheet that are looked at: after a moment's rest, in their order, few at once.

const sheet = document.querySelector(".sheet[data-stream]");
const [pause, said] = [document.querySelector("#pause"), document.querySelector("#said")];
const looked = new Set(); // blank places that are seen
const drawing = new Map(); // place → [what stops it, who waits for it]
let stream, single, timer, left, count = 0, held = 0; // until when nothing new is asked for, as the library wished

const awake = () => !left && !document.hidden && pause.getAttribute("aria-pressed") === "false";

const draw = async (place) => {
  const stop = new AbortController();
  const visitor = `${sheet.dataset.visitor}-${(count += 1)}`; // who has left is not heard under that name for a while
  drawing.set(place, [stop, visitor]);
  const { over, wait } = await single.draw(place, visitor, stop.signal, stream.follow);
  drawing.delete(place);
  if (over) {
    watcher.unobserve(place);
    looked.delete(place);
  } else if (wait) {
    held = Math.max(held, Date.now() + 1000 * wait);
    setTimeout(go, 1000 * wait);
  }
  go();
};

const go = () => {
  const free = Date.now() >= held;
  said.textContent = free ? said.dataset.usual : said.dataset.held;
  for (const place of [...looked].sort((one, other) => one.textContent - other.textContent)) {
    if (free && awake() && drawing.size < sheet.dataset.most && !drawing.has(place)) draw(place);
  }
};

const rest = () => {
  for (const [place, [stop, visitor]] of drawing) {
    if (looked.has(place) && awake()) continue;
    stop.abort();
    stream.leave(place.href, visitor);
  }
  clearTimeout(timer);
  timer = setTimeout(go, Number(sheet.dataset.rest));
};

const watcher = new IntersectionObserver((entries) => {
  for (const { target, isIntersecting } of entries) looked[isIntersecting ? "add" : "delete"](target);
  rest();
});

if (sheet) {
  [stream, single] = await Promise.all([import(sheet.dataset.stream), import(sheet.dataset.place)]);
  for (const place of sheet.querySelectorAll("a:not(:has(img, small))")) watcher.observe(place);
  pause.hidden = said.hidden = false;
  pause.addEventListener("click", () => { pause.setAttribute("aria-pressed", String(awake())); rest(); });
  document.addEventListener("visibilitychange", rest);
  for (const event of ["pagehide", "pageshow"]) addEventListener(event, () => { left = event === "pagehide"; rest(); });
}
