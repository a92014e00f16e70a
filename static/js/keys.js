// The keys of a page, in one list: the handler follows it, and the help (?) is written from it.

const KEYS = [
  ["ArrowLeft", "←"],
  ["ArrowRight", "→"],
  ["Shift+ArrowLeft", "Shift ←"],
  ["Shift+ArrowRight", "Shift →"],
  ...["r", "\u002f", "s", "k", "f", "?"].map((key) => [key, key]), // the second is a slash
];
// What a key does is said by the page: it presses the first thing seen whose `data-key` names it, or enters that field.
const found = (key) =>
  [...document.querySelectorAll(`[data-key="${CSS.escape(key.replace("\u002f", "Slash"))}"]`)].find((each) => each.checkVisibility());
const words = ({ dataset, ariaLabel, textContent }) => dataset.says ?? ariaLabel ?? textContent.trim();
const help = document.querySelector("#keys");
const enough = help.querySelector("input"); // letters alone may be in the way of speech input, so they can be let go

const make = (name, ...inside) => {
  const element = document.createElement(name);
  element.append(...inside);
  return element;
};
const remember = (change) => {
  try {
    return change(localStorage);
  } catch {
    return null; // a browser may forbid a site to remember anything
  }
};

enough.checked = remember((memory) => memory.getItem("babelia-keys")) !== "off";
const note = () => remember((memory) => memory.setItem("babelia-keys", enough.checked ? "on" : "off"));
enough.addEventListener("change", note);

for (const button of document.querySelectorAll("[data-opens=keys]")) {
  button.hidden = false;
  button.addEventListener("click", () => {
    const rows = KEYS.filter(([key]) => found(key)).map(([key, shown]) =>
      make("div", make("dt", make("kbd", shown)), make("dd", words(found(key)))));
    help.querySelector("dl").replaceChildren(...rows);
    help.showModal();
  });
}

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented || event.isComposing) return;
  if (!enough.checked || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const pressed = (event.shiftKey && event.key.length > 1 ? "Shift+" : "") + event.key;
  const target = KEYS.some(([key]) => key === pressed) && found(pressed);
  if (!target) return;
  event.preventDefault();
  target.focus();
  if (target.matches("input")) target.select();
  else target.click();
});
