// Has the next page drawn while this one is looked at. What it has asked for, leave.js gives up.

const PAUSE = 1000; // who turns pages faster than this is after none of them

const ask = () => {
  const plate = document.querySelector("[data-ahead]");
  if (!plate || document.hidden) return;
  const { ahead, leaveAhead } = plate.dataset;
  const visitor = Math.random().toString(36).slice(2); // a kept page is the same for everybody, and names no tab
  plate.removeAttribute("data-ahead");
  const sent = navigator.sendBeacon(ahead, new URLSearchParams({ visitor }));
  if (sent) Object.assign(plate.dataset, { leave: leaveAhead, visitor });
};

const wait = () => setTimeout(ask, PAUSE);
document.addEventListener("page-printed", wait);
document.addEventListener("visibilitychange", wait);
wait();
