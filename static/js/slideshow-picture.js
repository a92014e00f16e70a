// Waits for the picture of a page, which is drawn where it has to be.

const sleep = (seconds, signal) => new Promise((resolve, reject) => {
  setTimeout(resolve, 1000 * seconds);
  signal.addEventListener("abort", () => reject(signal.reason));
});

// Returns the picture, loaded and with its words; null where it may not be shown, or cannot be drawn.
export const pictureOf = async ({ page, visitor }, words, signal, say, follow) => {
  for (;;) {
    const answer = await fetch(`${page}?visitor=${visitor}`, { signal });
    const html = new DOMParser().parseFromString(await answer.text(), "text/html");
    const state = html.querySelector("main")?.dataset.state;
    const found = html.querySelector("#picture");
    if (answer.ok && found) {
      if (found.classList.contains("veiled")) return null;
      const image = Object.assign(new Image(), { src: found.src, alt: found.alt });
      return image.decode().then(() => image, () => null);
    }
    const later = answer.status === 429 || (answer.status >= 500 && state !== "failed");
    if (!answer.ok && !later) return null;
    const refused = { state: "refused", wait: Number(answer.headers.get("Retry-After")) };
    const last = answer.ok ? await follow(page, { visitor }, signal, (news) => say(news.sentence)) : refused;
    if (["failed", "gone"].includes(last.state)) return null;
    if (last.state === "kept") continue;
    say(last.state === "lost" ? words.lost : words.busy);
    await sleep(last.wait || 5, signal);
  }
};

// Hangs a picture into the frame, over the one before, and says below which page it is.
export const hang = (frame, caption, [page, image], { read, path }) => {
  if (frame.lastElementChild !== image) frame.append(image);
  while (frame.children.length > 2) frame.firstElementChild.remove();
  const { name, page: number } = read(path(new URL(page).pathname));
  document.querySelector("#sentence").textContent = "";
  Object.assign(caption, { href: page, textContent: number ? `${name}, ${number}` : name, hidden: false });
};
