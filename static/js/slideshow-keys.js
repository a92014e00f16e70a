// Presses the buttons of a slideshow by the keys that they name, of which one says what it does; Esc pauses it.

const play = document.querySelector("#play");

document.addEventListener("slideshow", ({ detail: { playing } }) => {
  document.querySelector("#controls").hidden = false;
  play.textContent = playing ? play.dataset.pause : play.dataset.play;
  play.toggleAttribute("data-paused", !playing);
  document.querySelector("#caption").parentNode.setAttribute("aria-live", playing ? "off" : "polite");
});

document.addEventListener("keydown", (event) => {
  if (document.querySelector("dialog[open], #keys input:not(:checked)")) return; // the list of keys, and who wants none
  if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  if (event.key === " " && event.target.closest("button, a, summary")) return; // it is what the space presses
  const key = event.key === "Escape" && !play.hasAttribute("data-paused") ? play.dataset.key : event.key;
  const button = document.querySelector(`button[data-key="${CSS.escape(key)}"]`);
  if (!button || button.closest("[hidden]")) return;
  event.preventDefault();
  button.click();
});
