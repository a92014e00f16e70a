// Copies a link, or the text of an element; the button says that it went well, and so does the live region, and a notice
// that it did not. Hidden where there is no clipboard.

const COPIES = "[data-copy], [data-copy-of]";

const reveal = () => {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll(COPIES)) button.hidden = false;
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest(COPIES);
  if (!button) return;
  const [label, heard] = [button.querySelector("span"), document.querySelector("#heard")];
  const before = label.textContent;
  const say = (sentence) => { label.textContent = heard.textContent = sentence; };
  try {
    const { copy, copyOf } = button.dataset;
    const from = copyOf && document.getElementById(copyOf); // a field holds what stands in it, not what it began with
    const text = from ? from.value ?? from.textContent : new URL(copy, location).href;
    await navigator.clipboard.writeText(text);
    say(button.dataset.done);
  } catch {
    document.querySelector("#notice").textContent = button.dataset.failed;
    return;
  }
  setTimeout(() => { [label.textContent, heard.textContent] = [before, ""]; }, 2500);
});

document.addEventListener("page-printed", reveal);
reveal();
