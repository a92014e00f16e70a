// Follows a second print, keeps the preview of each step while this page is open, and replays them by a slider.

const part = () => document.querySelector("[data-part=proof]");
const replay = document.querySelector("#replay");
const frames = []; // [step, source of its picture]; the site keeps none of them

const show = (place) => {
  const [step, source] = frames[place];
  replay.querySelector("img").src = source;
  replay.querySelector("output").textContent = step;
};

const add = (step, source) => {
  if (!replay) return;
  const slider = replay.querySelector("input");
  frames.push([step, source]);
  replay.hidden = false;
  slider.max = frames.length - 1;
  slider.value = slider.max; // in this order: a value is held within its bounds
  show(frames.length - 1);
};

replay?.querySelector("input").addEventListener("input", ({ target }) => show(Number(target.value)));

const say = (sentence, final = false) => {
  part().querySelector("#sentence")?.replaceChildren(sentence);
  document.dispatchEvent(new CustomEvent("news", { detail: { sentence, final } }));
};

const renew = async (done) => {
  const answer = await fetch(part().dataset.page);
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  part().replaceWith(page.querySelector("[data-part=proof]"));
  say(done, true);
};

const follow = ({ dataset: { events, lost, done } }) => {
  const source = new EventSource(events);
  source.addEventListener("progress", (event) => {
    const news = JSON.parse(event.data);
    say(news.sentence);
    if (news.of) part().querySelector("#bar").value = (100 * news.step) / news.of;
    if (news.preview) add(`${news.step} / ${news.of}`, news.preview);
  });
  source.addEventListener("done", (event) => {
    source.close();
    const { state, sentence } = JSON.parse(event.data);
    if (state === "kept" && frames.length) add(replay.dataset.finished, replay.dataset.last);
    renew(state === "kept" ? done : sentence).catch(() => location.reload());
  });
  source.addEventListener("error", () => {
    say(lost);
    if (source.readyState === EventSource.CLOSED) renew(lost).catch(() => say(lost));
  });
};

if (location.search) history.replaceState(null, "", location.pathname + location.hash); // without who waits
if (part()?.dataset.events) follow(part());
