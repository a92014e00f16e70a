// Follows the print of this page by server-sent events and puts the finished page in the place of the empty frame.

const main = document.querySelector("main[data-events]");

const show = (name, change) => {
  const element = main.querySelector(`#${name}`);
  if (element) change(element);
};

const say = (sentence) => show("sentence", (element) => {
  if (element.textContent !== sentence) element.textContent = sentence;
});

const update = (news) => {
  say(news.sentence);
  if (news.of) show("bar", (bar) => { bar.value = (100 * news.step) / news.of; });
  if (news.preview) {
    show("preview", (image) => {
      image.src = news.preview;
      image.hidden = false;
    });
  }
};

const finish = async () => {
  const picture = new Image();
  picture.src = main.dataset.picture;
  await picture.decode();
  const answer = await fetch(location.href, { headers: { Accept: "text/html" } });
  if (!answer.ok) throw new Error(answer.statusText);
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  main.replaceWith(page.querySelector("main"));
  document.dispatchEvent(new Event("page-printed"));
};

if (main) {
  const source = new EventSource(main.dataset.events);
  source.addEventListener("progress", (event) => update(JSON.parse(event.data)));
  source.addEventListener("done", (event) => {
    source.close();
    const news = JSON.parse(event.data);
    update(news);
    if (news.state === "kept") finish().catch(() => location.reload());
    else location.reload();
  });
  source.addEventListener("error", () => say(main.dataset.lost));
}
