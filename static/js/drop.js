// Takes what is dropped on the site: a file, or a link of a page or its picture. What opens it is bring.js.

let ours = false; // what is dragged was taken up on this very page

const mark = (on) => document.documentElement.classList.toggle("dropping", on);
const holds = ({ dataTransfer, target }) => {
  if (ours || !dataTransfer) return false;
  const { types } = dataTransfer;
  const linked = types.includes("text/uri-list") || types.includes("text/html");
  return types.includes("Files") || (linked && !target.closest?.("input, textarea"));
};

document.addEventListener("dragstart", () => { ours = true; });
document.addEventListener("dragend", () => { ours = false; });

document.addEventListener("dragover", (event) => {
  if (!holds(event)) return;
  event.preventDefault();
  mark(true);
});

document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });

document.addEventListener("drop", (event) => {
  if (!holds(event)) return;
  event.preventDefault();
  mark(false);
  document.dispatchEvent(new CustomEvent("brought", { detail: event.dataTransfer }));
});
