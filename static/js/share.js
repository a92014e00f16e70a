// Opens the system's share sheet where there is one.

const reveal = () => {
  if (!navigator.share) return;
  for (const button of document.querySelectorAll("[data-share]")) button.hidden = false;
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-share]");
  if (!button) return;
  try {
    await navigator.share({ url: new URL(button.dataset.share, location).href, title: button.dataset.title });
  } catch (error) {
    if (error.name === "AbortError") return; // the visitor closed the sheet
    document.querySelector("#notice").textContent = button.dataset.failed;
  }
});

document.addEventListener("page-printed", reveal);
reveal();
