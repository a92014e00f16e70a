// Plays the pictures of a strip, one after the other or by hand: as a circle there and back, else from the beginning again.

const player = document.querySelector("[data-player]");
const [screen, here, slider, button, pace, number] = ["screen", "here", "slider", "play", "pace", "number"].map((name) =>
  player.querySelector(`[data-${name}]`),
);
const calm = matchMedia("(prefers-reduced-motion: reduce)");
const loaded = new Map();
let timer, way = 1;

const frames = () => [...document.querySelectorAll("[data-sheet] [data-large]:not([data-events])")];
const load = (source) => loaded.get(source) ?? loaded.set(source, Object.assign(new Image(), { src: source })).get(source);

const show = () => {
  const all = frames();
  player.hidden = all.length === 0;
  slider.max = Math.max(0, all.length - 1);
  const frame = all[slider.value];
  if (!frame) return;
  const said = { n: Number(slider.value) + 1, all: all.length };
  number.textContent = player.dataset.label.replace(/{(\w+)}/g, (_, name) => said[name]);
  here.href = frame.dataset.page;
  slider.setAttribute("aria-valuetext", frame.dataset.frame);
  if (screen.dataset.shown === frame.dataset.large) return;
  Object.assign(screen, { src: load(frame.dataset.large).src, alt: frame.dataset.frame });
  screen.dataset.shown = frame.dataset.large;
  if (timer) all.slice(said.n, said.n + 4).forEach((other) => load(other.dataset.large));
};

const step = async () => {
  const last = Number(slider.max);
  let to = Number(slider.value) + way;
  if (to > last || to < 0) {
    way = player.dataset.closed === undefined ? 1 : -way;
    to = way > 0 ? (player.dataset.closed === undefined ? 0 : 1) : last - 1;
  }
  const next = frames()[to];
  if (next) await load(next.dataset.large).decode().catch(() => {}); // a picture that does not come is passed over
  slider.value = to;
  show();
  if (timer) timer = setTimeout(step, 1000 / (calm.matches ? 1 : Number(pace.value)));
};

const play = (on) => {
  clearTimeout(timer);
  timer = on ? setTimeout(step, 0) : undefined;
  button.textContent = on ? button.dataset.pauseWords : button.dataset.playWords;
};

button.addEventListener("click", () => play(!timer));
slider.addEventListener("input", () => { play(false); show(); });
document.addEventListener("visibilitychange", () => { if (document.hidden) play(false); });
document.addEventListener("tile-done", show);
document.addEventListener("sheet-renewed", show);
show();
