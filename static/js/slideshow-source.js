// Where the pictures of a slideshow come from: chance, a volume, or the shelf. Each answers with the URL of a page.

const random = async ({ random: at }) => {
  const answer = await fetch(at, { method: "HEAD" }); // which has nothing drawn
  if (!answer.ok) throw new Error(answer.statusText);
  return answer.url;
};

const inOrder = (count, first, shuffled, place) => {
  let next = first;
  return () => {
    const now = shuffled() ? Math.floor(Math.random() * count) : next % count;
    next = now + 1;
    return place(now);
  };
};

const isPressed = (button) => button.getAttribute("aria-pressed") === "true";

// Returns what gives the next page, in turn or shuffled; null where there is none at all.
export const sourceOf = (data, memory, shuffle) => {
  shuffle?.addEventListener("click", () => shuffle.setAttribute("aria-pressed", String(!isPressed(shuffle))));
  const shuffled = () => isPressed(shuffle);
  if (data.of === "volume") {
    const page = (place) => new URL(`${data.volume}${place + 1}/`, location).href;
    return inOrder(Number(data.pages), data.number - 1, shuffled, page);
  }
  if (data.of !== "shelf") return () => random(data);
  const kept = memory.list(memory.SHELF).map(({ path }) => new URL(memory.where(path), location).href);
  return kept.length ? inOrder(kept.length, 0, shuffled, (place) => kept[place]) : null;
};
