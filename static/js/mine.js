// Shows what was opened in this browser, from its own storage: each a link with the thumbnail that the library has of it.

const wall = document.querySelector("#wall");
const lacking = document.querySelector("#lacking");
const tile = document.querySelector("#tile");

const kept = () => {
  try {
    const found = JSON.parse(localStorage.getItem("babelia-history") ?? "[]");
    return Array.isArray(found) ? found.filter((each) => typeof each?.path === "string") : [];
  } catch {
    return []; // storage that is switched off, or that something else has written
  }
};

const shown = ({ path, name }) => {
  const where = URL.canParse(path, location.href) && new URL(path, location.href);
  if (where.origin !== location.origin) return []; // a history may come from a file
  const copy = tile.content.cloneNode(true);
  const image = copy.querySelector("img");
  copy.querySelector("a").href = where.pathname;
  copy.querySelector("[dir=auto]").textContent = name ?? where.pathname;
  copy.querySelector("small").textContent = where.pathname.match(/\/(\d+)\/$/)?.[1] ?? "";
  image.addEventListener("error", () => image.remove()); // it made room, or was taken down
  image.src = where.pathname + wall.dataset.thumbnail;
  return [copy];
};

const tiles = kept().flatMap(shown);
wall.replaceChildren(...tiles);
if (tiles.length) lacking.remove();
else lacking.textContent = lacking.dataset.none;
