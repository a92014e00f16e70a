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

// What a proxy says for a site that starts again is no page of the library: it would take this one's place for good.
const reopen = async () => {
  const answer = await fetch(main.dataset.page, { method: "HEAD" }).catch(() => null);
  if (answer && (answer.ok || ![502, 504].includes(answer.status))) location.reload();
  else timer = setTimeout(reopen, Number(main.dataset.pause));
};

const follow = () => {
  source = new EventSource(main.dataset.events);
  source.addEventListener("progress", (event) => update(JSON.parse(event.data)));
  source.addEventListener("done", (event) => {
    source.close();
    if (JSON.parse(event.data).state === "kept") renew(reopen);
    else reopen();
  });
  source.addEventListener("error", () => {
    say(main.dataset.lost);
    if (source.readyState === EventSource.CLOSED) timer = setTimeout(reopen, Number(main.dataset.pause));
  });
};

// A browser gives a site six connections: a tab that nobody sees asks now and then and leaves them to the others.
const attend = () => {
  clearTimeout(timer);
  if (!main || printed()) return;
  if (!document.hidden) return void follow();
  const ask = () => renew(() => say(main.dataset.lost));
  timer = setInterval(ask, Number(main.dataset.pause));
  ask();
  source?.close();
};

// Who presses "Leave" is told that the page is given up while the browser is on its way to the next one: no reload then.
const stop = () => { source?.close(); clearTimeout(timer); };
for (const over of ["submit", "page-printed"]) document.addEventListener(over, stop);
document.addEventListener("visibilitychange", attend);
// A page that is left is hidden then, and would ask again for the place that it gave up.
addEventListener("pagehide", () => { document.removeEventListener("visibilitychange", attend); stop(); });
attend();
