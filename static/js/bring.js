// Opens what was dropped or pasted: first the link that came with it, for it names the page, then the file.

const notice = document.querySelector("#notice");

const linkIn = (brought) => {
  const listed = brought.getData("text/uri-list").split(/[\r\n]+/).find((line) => line && !line.startsWith("#"));
  const html = new DOMParser().parseFromString(brought.getData("text/html"), "text/html");
  const found = listed || html.querySelector("a[href]")?.href || html.querySelector("img[src]")?.src;
  return URL.canParse(found ?? "") && new URL(found).protocol.startsWith("http") ? found : null;
};

const send = async (name, value) => {
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

document.addEventListener("brought", async ({ detail }) => {
  const [link, files] = [linkIn(detail), [...detail.files]];
  if (files.length > 1) {
    notice.textContent = notice.dataset.several;
    return;
  }
  const ways = [...(link ? [["link", link]] : []), ...files.map((file) => ["file", file])];
  if (ways.length) notice.textContent = notice.dataset.opening;
  for (const [name, value] of ways) {
    notice.textContent = await send(name, value).catch(() => notice.dataset.lost);
    if (!notice.textContent) break;
  }
});
