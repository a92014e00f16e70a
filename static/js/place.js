// Draws one place of a volume's sheet: a preview while the press works, and then its picture.

const sheet = document.querySelector(".sheet").dataset;

const put = (place, source, kind) => {
  if (!place.querySelector("img")) {
    const image = Object.assign(new Image(), { alt: sheet.picture });
    image.addEventListener("error", () => image.remove()); // its page veils it
    place.prepend(image);
  }
  Object.assign(place.querySelector("img"), { src: source, className: kind });
};

// Returns whether there is no more to come of this place, and else the seconds after which it is worth asking again.
export const draw = async (place, visitor, signal, follow) => {
  const hear = (news) => { if (news.preview) put(place, news.preview, "preview"); };
  place.classList.add("drawing");
  const last = await follow(place.href, visitor, signal, hear).catch(() => ({ state: "lost" }));
  place.classList.remove("drawing");
  if (last.state === "kept") put(place, new URL("thumbnail.webp", place.href), "");
  else place.querySelector("img")?.remove();
  const over = ["kept", "failed", "gone"].includes(last.state);
  return { over, wait: signal.aborted || over ? 0 : last.wait || Number(sheet.wait) };
};
