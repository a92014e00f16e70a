// Copies a link; the button itself says whether it went well. Hidden where there is no clipboard.

const reveal = () => {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const label = button.querySelector("span");
  const before = label.textContent;
  try {
    await navigator.clipboard.writeText(new URL(button.dataset.copy, location).href);
    label.textContent = button.dataset.done;
  } catch {
    label.textContent = button.dataset.failed;
  }
  setTimeout(() => { label.textContent = before; }, 2500);
});

document.addEventListener("page-printed", reveal);
reveal();
