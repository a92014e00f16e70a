// Goes on with the wall: the next numbered page comes when its end is near, a few times; then, so that the foot can be
// reached, the link to it waits to be pressed.

const wall = document.querySelector("#wall");
const heard = document.querySelector("#heard");
let left = Number(wall.dataset.most);
let busy = false;

const numbers = () => document.querySelector("#numbers");
const nextLink = () => numbers().querySelector("a[rel~=next]");

const goOn = async () => {
  const answer = await fetch(nextLink().href);
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  const shown = new Set([...wall.querySelectorAll("a")].map((link) => link.getAttribute("href")));
  const more = [...page.querySelectorAll("#wall > li")];
  const fresh = more.filter((tile) => !shown.has(tile.querySelector("a").getAttribute("href")));
  wall.append(...fresh);
  numbers().replaceWith(page.querySelector("#numbers"));
  heard.textContent = page.querySelector("#wall")?.dataset.heard ?? "";
  return fresh[0];
};

const near = new IntersectionObserver(
  async (seen) => {
    if (busy || left <= 0 || !seen.some((entry) => entry.isIntersecting)) return;
    if (numbers().contains(document.activeElement)) return; // whoever is at the numbers wants one of them
    busy = true;
    left -= 1;
    await goOn().catch(() => {
      left = 0; // the link still leads there
    });
    busy = false;
    near.disconnect();
    if (left > 0 && nextLink()) near.observe(numbers());
  },
  { rootMargin: "0px 0px 800px" },
);

document.addEventListener("click", async (event) => {
  const link = event.target.closest("#numbers a[rel~=next]");
  if (!link || busy || event.ctrlKey || event.metaKey || event.shiftKey) return;
  event.preventDefault();
  busy = true;
  const first = await goOn().catch(() => location.assign(link.href));
  busy = false;
  first?.querySelector("a").focus();
  left = Number(wall.dataset.most);
  if (nextLink()) near.observe(numbers());
});

near.observe(numbers());
