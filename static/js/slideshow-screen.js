// Fills the screen with a slideshow, and keeps the screen awake while it goes on.

const [full, show] = [document.querySelector("#full"), document.querySelector("#show")];
let lock = null, playing = false; // the lock is a promise: it may still be asked for when it is no longer wanted

// The browser lets the screen sleep where the tab is hidden, and may refuse where power is low: then it sleeps.
const watch = () => {
  if (playing && !document.hidden) {
    lock ??= navigator.wakeLock?.request("screen").catch(() => null);
    return;
  }
  lock?.then((held) => held?.release());
  lock = null;
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
