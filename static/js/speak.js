// Says news of the print to whoever hears pages: at most one sentence in `data-pause` milliseconds, and the last one stays.

const region = document.querySelector("#spoken");
const pause = Number(region.dataset.pause);
let timer, next = performance.now() + pause;
let silent = true;

const speak = (sentence) => {
  if (region.textContent === sentence) return;
  region.textContent = sentence;
  next = performance.now() + pause;
  silent = false;
};

document.addEventListener("news", ({ detail: { sentence, final } }) => {
  clearTimeout(timer); // a newer sentence takes the place of the one that waits for its turn
  const wait = final && silent ? 0 : next - performance.now();
  timer = setTimeout(speak, Math.max(0, Math.ceil(wait)), sentence);
});
