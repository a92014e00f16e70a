// Fills the screen with a slideshow, and keeps the screen awake while it goes on.

const [full, show] = [document.querySelector("#full"), document.querySelector("#show")];
let awake = null, playing = false;

// The browser lets the screen sleep where the tab is hidden, and may refuse where power is low: then it sleeps.
const watch = async () => {
  if (playing && !document.hidden) awake ??= await navigator.wakeLock?.request("screen").catch(() => null);
  if (playing && !document.hidden) return;
  awake?.release();
  awake = null;
};

document.addEventListener("slideshow", ({ detail }) => {
  ({ playing } = detail);
  watch();
});
document.addEventListener("visibilitychange", watch);

full.hidden = !document.fullscreenEnabled;
full.addEventListener("click", () => {
  const change = document.fullscreenElement ? document.exitFullscreen() : show.requestFullscreen();
  change.catch(() => { full.hidden = true; });
});
