// Puts what is finished of this page in the place of what waited, when it is asked to; the rest, and the focus, stay.

const main = document.querySelector("main[data-events]");

const renew = async () => {
  const answer = await fetch(main.dataset.page);
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  if (page.dataset.state !== "kept") return;
  await Object.assign(new Image(), { src: main.dataset.picture }).decode();
  if (main.dataset.state === "kept") return; // meanwhile, by another way
  const held = document.activeElement;
  for (const part of main.querySelectorAll("[data-part]")) {
    part.replaceWith(page.querySelector(`[data-part=${part.dataset.part}]`));
  }
  main.dataset.state = page.dataset.state;
  if (!held.isConnected) main.querySelector("[data-part=plate]").focus(); // it was on what is over now
  document.dispatchEvent(new CustomEvent("news", { detail: { sentence: main.dataset.done, final: true } }));
  document.dispatchEvent(new Event("page-printed"));
};

document.addEventListener("renew", ({ detail: otherwise }) => renew().catch(otherwise));
