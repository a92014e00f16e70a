// Draws the pictures of a sheet of nine as they come into view, of a strip all of them, a few at a time.

const list = () => document.querySelector("[data-sheet]");
const tileOf = (link) => link.closest("[data-events]");

const put = (tile) => {
  const picture = tile.querySelector("img");
  Object.assign(picture, { src: picture.dataset.src, hidden: false });
  tile.querySelectorAll(".blank, progress").forEach((part) => part.remove());
  tile.removeAttribute("data-events");
};

const shown = {
  hear: (link, { step, of }) => {
    Object.assign(tileOf(link).querySelector("progress"), { hidden: false, value: of ? step / of : 0 });
  },
  end: (link, { state, sentence }) => {
    const tile = tileOf(link);
    if (state === "kept" && list().dataset.checked === undefined) put(tile); // else the library says which is shown
    if (["failed", "gone"].includes(state)) Object.assign(tile, { title: sentence ?? "", className: "tile failed" });
    if (["kept", "failed", "gone"].includes(state)) document.dispatchEvent(new Event("tile-done"));
  },
  told: () => {},
  wanted: () => true,
};

const [{ looking }, stream] = await Promise.all([import(list().dataset.looked), import(list().dataset.stream)]);
const { show } = looking(list().dataset, stream, shown);
const begin = () => show(list().querySelectorAll("[data-events] > a"), list().dataset.sheet === "strip");
document.addEventListener("sheet-renewed", begin);
begin();
