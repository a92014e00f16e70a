// Opens the system's share sheet where there is one, and shows the link that stands in the address bar: a proxy may have
// handed on another host.

const [link, frame] = [document.querySelector("#link"), document.querySelector("#frame")];
const here = new URL(link.dataset.page, location).href;
[frame.value, link.value] = [frame.value.replace(link.value, here), here];

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
