// Keeps this page on the shelf of this browser, and notes there that it was seen.

const star = document.querySelector("[data-keep]");
const memory = await import(star.dataset.memory);
const page = memory.path(star.dataset.keep);
const main = document.querySelector("main");

const isKept = () => memory.list(memory.SHELF).some(({ path }) => path === page);
const show = () => star.setAttribute("aria-pressed", String(isKept()));

const say = (sentence) => { document.querySelector("#notice").textContent = sentence; };

const press = () => {
  const others = memory.without(memory.SHELF, page);
  if (!isKept() && others.length >= Number(star.dataset.most)) {
    say(star.dataset.over);
    return;
  }
  const done = isKept() ? memory.keep(memory.SHELF, others) : memory.put(memory.SHELF, page);
  if (!done) say(star.dataset.failed);
  show();
};

const note = () => {
  if (main.dataset.state !== "kept" || memory.remember((kept) => kept.getItem(memory.UNSEEN) ?? "") !== "") return;
  memory.put(memory.HISTORY, page);
};

if (page) {
  show();
  note();
  star.hidden = false;
  star.addEventListener("click", press);
  document.addEventListener("page-printed", note);
  addEventListener("storage", show);
  addEventListener("pageshow", show);
}
