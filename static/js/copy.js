// Copies a link, or the text of what `data-of` names; the button says whether it went well, and so does the live region. Hidden where there is no clipboard.

const reveal = () => {
  if (!navigator.clipboard) return;
  for (const button of document.querySelectorAll("[data-copy]")) button.hidden = false;
};

document.addEventListener("click", async (event) => {
  const button = event.target.closest("[data-copy]");
  if (!button) return;
  const [label, heard] = [button.querySelector("span"), document.querySelector("#heard")];
  const before = label.textContent;
  const say = (sentence) => { label.textContent = heard.textContent = sentence; };
  try {
    const { copy, of } = button.dataset;
    await navigator.clipboard.writeText(of ? document.getElementById(of).textContent : new URL(copy, location).href);
    say(button.dataset.done);
  } catch {
    say(button.dataset.failed);
  }
  setTimeout(() => { [label.textContent, heard.textContent] = [before, ""]; }, 2500);
});

document.addEventListener("page-printed", reveal);
reveal();
