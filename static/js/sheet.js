// Says how much of a sheet or strip is drawn; asks for the rest of it where that hangs on what has just been drawn.

const line = document.querySelector("[data-count]");
const sheet = () => document.querySelector("[data-sheet]");
const goesOn = () => sheet().dataset.goesOn !== undefined;

const left = () => {
  const tiles = [...sheet().querySelectorAll("[data-page]")];
  const waiting = tiles.filter((tile) => tile.dataset.events).length;
  const said = { n: tiles.length - waiting, all: tiles.length };
  if (line && !goesOn()) line.textContent = line.dataset.words.replace(/{(\w+)}/g, (_, name) => said[name]);
  return waiting;
};

const finish = () => {
  if (left() || goesOn()) return;
  document.querySelector("[data-films]")?.removeAttribute("hidden");
  document.dispatchEvent(new CustomEvent("news", { detail: { sentence: sheet().dataset.done, final: true } }));
};

const renew = async () => {
  const answer = await fetch(location.href);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const found = page.querySelector("[data-sheet]");
  if (!answer.ok || !found) throw new Error(answer.statusText);
  document.querySelectorAll("[data-while-waiting]").forEach((part) => part.remove());
  sheet().replaceWith(found);
  document.dispatchEvent(new Event("sheet-renewed"));
  finish();
};

document.addEventListener("tile-done", () => {
  if (sheet().dataset.checked !== undefined || (!left() && goesOn())) renew().catch(() => location.reload());
  else finish();
});
