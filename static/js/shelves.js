// Shows what this browser keeps: the shelf and what was seen lately, with removing, clearing and an undo.

const shelves = document.querySelector("#shelves");
const memory = await import(shelves.dataset.memory);
const [undo, seen] = [document.querySelector("#undo"), document.querySelector("#seen")];
const sections = [...document.querySelectorAll("[data-list]")];
let before = null; // what an undo brings back

const change = (key, entries, sentence) => {
  before = [key, memory.list(key)];
  memory.keep(key, entries);
  [undo.hidden, undo.querySelector("span").textContent] = [false, sentence];
  show();
  undo.querySelector("button").focus();
};

const tile = ({ path, name }, key) => {
  const item = document.importNode(shelves.querySelector("template").content, true).firstElementChild;
  const [link, image, remove] = ["a", "img", "button"].map((part) => item.querySelector(part));
  const { page, edition } = memory.read(path);
  const text = page ? `${name}, ${page}` : name;
  link.href = memory.where(path);
  link.querySelector("bdi").textContent = text;
  item.querySelector("input")?.setAttribute("value", path);
  image.addEventListener("error", () => image.remove()); // it has made room for others, or is taken down
  const here = shelves.dataset.editions.split(" ").includes(edition);
  item.querySelector("small").hidden = here;
  image.src = here ? new URL("thumbnail.webp", link.href) : ""; // an empty one is an error
  remove.setAttribute("aria-label", `${remove.title} ${text}`);
  if (!key) remove.remove();
  remove.addEventListener("click", () => change(key, memory.without(key, path), shelves.dataset.removed));
  return item;
};

const show = () => {
  for (const section of sections) {
    const entries = memory.list(section.dataset.list);
    section.querySelector("ul").replaceChildren(...entries.map((each) => tile(each, section.dataset.list)));
    section.classList.toggle("empty", entries.length === 0);
  }
  seen.checked = memory.remember((kept) => kept.getItem(memory.UNSEEN) ?? "") === "";
};

const { UNSEEN, remember } = memory;
const switchTo = (on) => remember((kept) => (on ? kept.removeItem(UNSEEN) : kept.setItem(UNSEEN, 1)));

document.addEventListener("shelf-given", ({ detail: { list, entries } }) => {
  list.replaceChildren(...entries.map((each) => tile(each)));
});
document.querySelector("#clear").addEventListener("click", () => change(memory.HISTORY, [], shelves.dataset.cleared));
seen.addEventListener("change", () => switchTo(seen.checked));
undo.querySelector("button").addEventListener("click", () => {
  memory.keep(...before);
  undo.hidden = true;
  show();
});
for (const event of ["storage", "pageshow", "shelf-changed"]) addEventListener(event, show);
shelves.hidden = false;
show();
