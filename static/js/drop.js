// Opens what is dropped on the site: a key's file, a picture printed here, a link of this library or its picture.

const notice = document.querySelector("#notice");
let ours = false; // what is dragged was taken up on this very page

const mark = (on) => document.documentElement.classList.toggle("dropping", on);
const holds = ({ dataTransfer, target }) => {
  if (ours || !dataTransfer) return false;
  const { types } = dataTransfer;
  const linked = types.includes("text/uri-list") || types.includes("text/html");
  return types.includes("Files") || (linked && !target.closest?.("input, textarea"));
};

const linkIn = (dropped) => {
  const listed = dropped.getData("text/uri-list").split(/[\r\n]+/).find((line) => line && !line.startsWith("#"));
  const html = new DOMParser().parseFromString(dropped.getData("text/html"), "text/html");
  const found = listed || html.querySelector("a[href]")?.href || html.querySelector("img[src]")?.src;
  return URL.canParse(found ?? "") ? new URL(found) : null;
};

const open = async (name, value) => {
  if (value.size > Number(notice.dataset.limit)) return notice.dataset.large;
  const form = new FormData();
  form.append("edition", notice.dataset.edition);
  form.append(name, value);
  const headers = { Accept: "application/json" };
  const answer = await fetch(notice.dataset.drop, { method: "POST", body: form, headers });
  const news = await answer.json();
  if (!answer.ok) return `${news.message} ${news.hint}`;
  location.assign(news.page);
  return "";
};

document.addEventListener("dragstart", () => { ours = true; });
document.addEventListener("dragend", () => { ours = false; });

document.addEventListener("dragover", (event) => {
  if (!holds(event)) return;
  event.preventDefault();
  mark(true);
});

document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) mark(false); });

document.addEventListener("drop", async (event) => {
  if (!holds(event)) return;
  event.preventDefault();
  mark(false);
  const [{ files }, link] = [event.dataTransfer, linkIn(event.dataTransfer)];
  const here = link?.origin === location.origin;
  if (files.length > 1) notice.textContent = notice.dataset.several;
  else if (!here && !files.length) notice.textContent = link ? notice.dataset.foreign : "";
  else {
    notice.textContent = notice.dataset.opening;
    const opened = here ? open("link", link.pathname) : open("file", files[0]);
    notice.textContent = await opened.catch(() => notice.dataset.lost);
  }
});
