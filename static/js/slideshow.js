// Shows pictures one after another, at a pace, until somebody pauses; what can be pressed while they are shown.

const main = document.querySelector("main[data-of]");
const find = (id) => document.querySelector(id);
const listen = (id, event, then) => find(id).addEventListener(event, then);
const say = (sentence) => { find("#sentence").textContent = sentence ?? ""; };
let turns, hang, timer, playing = false, moved = 0;

const plan = () => {
  clearTimeout(timer);
  if (!playing || document.hidden) return;
  timer = setTimeout(go, 1000 * find("#pace").value, 1);
  turns.ahead().catch(() => null); // it is asked for again when its time has come
};

const go = async (by) => {
  clearTimeout(timer);
  const mine = (moved += 1); // a later move takes the place of one that still waits
  try {
    const found = await turns.turn(by);
    found ? hang(found) : say(main.dataset.none);
  } catch {
    if (mine === moved && !document.hidden) say(main.dataset.lost);
  }
  if (mine === moved) plan();
};

// What is waited for is given up.
const rest = () => {
  clearTimeout(timer);
  moved += 1;
  turns.halt();
};

const toggle = () => {
  playing = !playing;
  document.dispatchEvent(new CustomEvent("slideshow", { detail: { playing } }));
  playing ? go(1) : rest();
};

const begin = () => {
  listen("#play", "click", toggle);
  listen("#pace", "change", plan);
  listen("#back", "click", () => go(-1));
  listen("#on", "click", () => go(1));
  document.addEventListener("visibilitychange", () => (document.hidden ? rest() : playing && go(1)));
  addEventListener("pagehide", rest);
  addEventListener("pageshow", ({ persisted }) => persisted && plan());
  toggle();
};

if (main) {
  const names = ["memory", "stream", "source", "picture", "turns"];
  const [memory, stream, from, picture, turning] = await Promise.all(names.map((name) => import(main.dataset[name])));
  const source = from.sourceOf(main.dataset, memory, find("#shuffle"));
  hang = (found) => picture.hang(find("#frame"), find("#caption"), found, memory);
  turns = turning.turnsOf(main.dataset, source, picture.pictureOf, stream, say);
  source ? begin() : say(main.dataset.empty);
}
