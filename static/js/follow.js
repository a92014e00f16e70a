// Follows the print of this page by server-sent events, and shows how far it is until the page is there.

const main = document.querySelector("main[data-events]");
const printed = () => main.dataset.state === "kept";
let source, timer;

const say = (sentence) => {
  const line = main.querySelector("#sentence");
  if (line && line.textContent !== sentence) line.textContent = sentence;
  document.dispatchEvent(new CustomEvent("news", { detail: { sentence } }));
};

const update = (news) => {
  say(news.sentence);
  if (news.of) main.querySelector("#bar").value = (100 * news.step) / news.of;
  if (news.preview) Object.assign(main.querySelector("#preview"), { src: news.preview, hidden: false });
};

const renew = (otherwise) => document.dispatchEvent(new CustomEvent("renew", { detail: otherwise }));

const follow = () => {
  source = new EventSource(main.dataset.events);
  source.addEventListener("progress", (event) => update(JSON.parse(event.data)));
  source.addEventListener("done", (event) => {
    source.close();
    if (JSON.parse(event.data).state === "kept") renew(() => location.reload());
    else location.reload();
  });
  source.addEventListener("error", () => {
    say(main.dataset.lost);
    if (source.readyState === EventSource.CLOSED) setTimeout(() => location.reload(), Number(main.dataset.pause));
  });
};

// A browser gives a site six connections: a tab that nobody sees asks now and then and leaves them to the others.
const attend = () => {
  clearInterval(timer);
  if (!main || printed()) return;
  if (!document.hidden) {
    follow();
    return;
  }
  const ask = () => renew(() => say(main.dataset.lost));
  timer = setInterval(ask, Number(main.dataset.pause));
  ask();
  source?.close();
};

// Who presses "Leave" is told that the page is given up while the browser is on its way to the next one: no reload then.
document.addEventListener("submit", () => { source?.close(); clearInterval(timer); });
document.addEventListener("page-printed", () => clearInterval(timer));
document.addEventListener("visibilitychange", attend);
attend();
