// Shows the key of other words in the figure of About without leaving the page: asks for the page and takes its figure.

const form = document.querySelector("#ask");

const show = async (where) => {
  const answer = await fetch(where);
  if (!answer.ok) throw new Error(answer.statusText);
  const sent = new DOMParser().parseFromString(await answer.text(), "text/html");
  document.querySelector("#made").replaceWith(document.adoptNode(sent.querySelector("#made")));
  document.querySelector("#heard").textContent = document.querySelector("#made figcaption").textContent;
};

form?.addEventListener("submit", async (event) => {
  event.preventDefault();
  const where = new URL(form.action);
  where.search = new URLSearchParams(new FormData(form, event.submitter));
  try {
    await show(where);
    document.getElementById(event.submitter?.id)?.focus();
  } catch {
    location.assign(where); // what is refused, or does not come, is a page of its own
  }
});
