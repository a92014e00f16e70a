// Follows the print of this page by server-sent events and puts the finished page in the place of the empty frame.

const main = document.querySelector("main[data-events]");
let source, timer;

const say = (sentence) => {
  const line = main.querySelector("#sentence");
  if (line.textContent !== sentence) line.textContent = sentence;
};

const update = (news) => {
  say(news.sentence);
  if (news.of) main.querySelector("#bar").value = (100 * news.step) / news.of;
  if (news.preview) Object.assign(main.querySelector("#preview"), { src: news.preview, hidden: false });
};

const renew = async () => {
  if (!main.isConnected) return clearInterval(timer);
  const answer = await fetch(main.dataset.page);
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
  if (page.dataset.state !== "kept") return undefined;
  const picture = new Image();
  picture.src = main.dataset.picture;
  await picture.decode();
  if (main.isConnected) main.replaceWith(page);
  return document.dispatchEvent(new Event("page-printed"));
};

const follow = () => {
  source = new EventSource(main.dataset.events);
  source.addEventListener("progress", (event) => update(JSON.parse(event.data)));
  source.addEventListener("done", (event) => {
    source.close();
    const news = JSON.parse(event.data);
    update(news);
    if (news.state === "kept") renew().catch(() => location.reload());
    else location.reload();
  });
  source.addEventListener("error", () => {
    say(main.dataset.lost);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), Number(main.dataset.pause));
  });
};

// A browser gives a site six connections: a tab that nobody sees asks now and then and leaves them to the others.
const attend = async () => {
  clearInterval(timer);
  if (!main?.isConnected) return undefined;
  if (!document.hidden) return follow();
  const ask = () => renew().catch(() => say(main.dataset.lost));
  timer = setInterval(ask, Number(main.dataset.pause));
  await ask();
  return source?.close();
};

document.addEventListener("visibilitychange", attend);
attend();
