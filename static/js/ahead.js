// Has the next page drawn while this one is looked at. What it has asked for, leave.js gives up.

const PAUSE = 1000; // who turns pages faster than this is after none of them

const ask = () => {
  const plate = document.querySelector("[data-ahead]");
  if (!plate || document.hidden) return;
  const { ahead, leaveAhead, visitor } = plate.dataset;
  plate.removeAttribute("data-ahead");
  if (navigator.sendBeacon(ahead, new URLSearchParams({ visitor }))) plate.dataset.leave = leaveAhead;
};

const wait = () => setTimeout(ask, PAUSE);
document.addEventListener("page-printed", wait);
document.addEventListener("visibilitychange", wait);
wait();
