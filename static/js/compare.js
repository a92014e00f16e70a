// Offers the page seen last to be compared with; waits for what is still drawn. The slider is slide.js.

for (const { dataset } of document.querySelectorAll("figure[data-events]")) {
  const source = new EventSource(dataset.events);
  source.addEventListener("done", () => {
    source.close();
    location.reload();
  });
}

// Who has a history of pages in this browser is offered it.
const seen = () => {
  try {
    const pages = JSON.parse(localStorage.getItem("babelia-history")) ?? [];
    return pages.map(({ path }) => decodeURI(path));
  } catch {
    return [];
  }
};
const [a, b] = ["#a", "#b"].map((each) => document.querySelector(each));
const known = seen();
const others = known.filter((path) => !a.value || !path.includes(`${a.value}/`));
document.querySelector("#seen").append(
  ...known.slice(0, 24).map((value) => Object.assign(document.createElement("option"), { value })));

const last = document.querySelector("#last");
last.hidden = !others.length;
last.addEventListener("click", () => {
  b.value = others[0];
  last.form.requestSubmit();
});
