// Gives up this tab's place when its page is left, and one that an earlier page of the tab could not give up.

const plate = () => document.querySelector("[data-leave]");
const leave = ({ leave: at, visitor }) => navigator.sendBeacon(at, new URLSearchParams({ visitor, unseen: 1 }));

// A browser may forbid a site to remember anything: then there is only what the page itself says.
const remember = (change) => {
  try {
    return change(sessionStorage);
  } catch {
    return null;
  }
};

const forget = () => remember((memory) => memory.removeItem("place"));

const earlier = JSON.parse(remember((memory) => memory.getItem("place")));
if (earlier && earlier.visitor !== plate()?.dataset.visitor) leave(earlier);
forget();
if (plate()) remember((memory) => memory.setItem("place", JSON.stringify({ ...plate().dataset })));

document.addEventListener("page-printed", forget);
addEventListener("pagehide", () => { if (plate() && leave(plate().dataset)) forget(); });

// Back from the browser's memory, the place is gone: the page asks anew.
addEventListener("pageshow", (event) => { if (event.persisted && plate()) location.reload(); });
