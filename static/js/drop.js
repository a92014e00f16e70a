// Opens a key's file or a picture printed here that is dropped anywhere on the site.

const notice = document.querySelector("#notice");
const holdsFile = (event) => event.dataTransfer?.types.includes("Files");
const mark = (on) => document.documentElement.classList.toggle("dropping", on);

const open = async (file) => {
  if (file.size > Number(notice.dataset.limit)) return notice.dataset.large;
  const form = new FormData();
  form.append("edition", notice.dataset.edition);
  form.append("file", file);
  const answer = await fetch(notice.dataset.drop, {
    method: "POST",
    body: form,
    headers: { Accept: "application/json" },
  });
  const news = await answer.json();
  if (!answer.ok) return `${news.message} ${news.hint}`;
  location.assign(news.page);
  return "";
};

document.addEventListener("dragover", (event) => {
  if (!holdsFile(event)) return;
  event.preventDefault();
  mark(true);
});

document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) mark(false);
});

document.addEventListener("drop", async (event) => {
  if (!holdsFile(event)) return;
  event.preventDefault();
  mark(false);
  notice.textContent = notice.dataset.opening;
  try {
    notice.textContent = await open(event.dataTransfer.files[0]);
  } catch {
    notice.textContent = notice.dataset.lost;
  }
});
