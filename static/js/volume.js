// The sheet of a volume: draws its blank places that are looked at, a preview while the model works, until it is told not to.

const sheet = document.querySelector(".sheet[data-looked]");
const [pause, said] = [document.querySelector("#pause"), document.querySelector("#said")];

const put = (place, source, kind) => {
  if (!place.querySelector("img")) {
    const image = Object.assign(new Image(), { alt: sheet.dataset.picture });
    image.addEventListener("error", () => image.remove()); // its page veils it
    place.prepend(image);
  }
  Object.assign(place.querySelector("img"), { src: source, className: kind });
};

const shown = {
  hear: (place, { preview }) => {
    place.classList.add("drawing");
    if (preview) put(place, preview, "preview");
  },
  end: (place, { state }) => {
    place.classList.remove("drawing");
    if (state === "kept") put(place, new URL("thumbnail.webp", place.href), "");
    else place.querySelector("img")?.remove();
  },
  told: (free) => { said.textContent = free ? said.dataset.usual : said.dataset.held; },
  wanted: () => pause.getAttribute("aria-pressed") === "false",
};

// Who came by a link of this site is there, and so is who moves. Otherwise the page may have been opened for later.
const somebody = () => new Promise((there) => {
  if (document.referrer.startsWith(location.origin)) there();
  for (const sign of ["pointermove", "pointerdown", "keydown", "scroll"]) addEventListener(sign, there, { once: true });
  setTimeout(there, Number(sheet.dataset.untouched));
});

if (sheet) {
  const [{ looking }, stream] = await Promise.all([import(sheet.dataset.looked), import(sheet.dataset.stream)]);
  const { show, settle } = looking(sheet.dataset, stream, shown);
  for (const part of [pause, said]) part.classList.remove("later");
  pause.addEventListener("click", () => { pause.setAttribute("aria-pressed", String(shown.wanted())); settle(); });
  await somebody();
  show(sheet.querySelectorAll("a:not(:has(img, small))"));
}
