// Turns pages with the arrow keys: follows the link whose data-turn names the keys pressed.

document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const keys = (event.shiftKey ? "Shift+" : "") + event.key;
  const link = document.querySelector(`a[data-turn="${CSS.escape(keys)}"]`);
  if (!link) return;
  event.preventDefault();
  link.click();
});
