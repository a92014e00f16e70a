// Turns pages by a swipe over the picture: to the left for the next, to the right for the one before.

const FAR = 50; // pixels
const QUICK = 700; // milliseconds
const EDGE = 24; // pixels from the sides, where browsers have swipes of their own
const plate = () => document.querySelector(".plate");
let from = null;

document.addEventListener("touchstart", ({ touches, target, timeStamp }) => {
  const [{ clientX: x, clientY: y }] = touches;
  const alone = touches.length === 1 && (visualViewport?.scale ?? 1) < 1.05; // who has zoomed in looks around
  const inside = plate()?.contains(target) && x > EDGE && x < innerWidth - EDGE;
  from = alone && inside ? { x, y, timeStamp } : null;
}, { passive: true });

document.addEventListener("touchend", ({ changedTouches, timeStamp }) => {
  if (!from) return;
  const [{ clientX, clientY }] = changedTouches;
  const [across, down] = [clientX - from.x, clientY - from.y];
  const meant = Math.abs(across) > FAR && Math.abs(across) > 2 * Math.abs(down) && timeStamp - from.timeStamp < QUICK;
  from = null;
  if (meant) document.querySelector(`a[data-key=${across < 0 ? "ArrowRight" : "ArrowLeft"}]`)?.click();
}, { passive: true });
