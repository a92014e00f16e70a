// Follows the print of a page from any other: asks for it, hands on what is heard of it, and returns the last of that.

// Returns the last news ({ state, sentence … }), or what became of it otherwise: "gone", where there is no such picture;
// "refused", with the seconds to wait; "lost", where the connection ended before the print did.
// `asks`: who does, and as one of few.
export const follow = async (page, asks, signal, hear = () => {}) => {
  const answer = await fetch(new URL(`events?${new URLSearchParams(asks)}`, page), { signal });
  if (!answer.ok) {
    const later = answer.status === 429 || answer.status >= 500;
    return { state: later ? "refused" : "gone", wait: Number(answer.headers.get("Retry-After")) };
  }
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    if (done) return { state: "lost" };
    const events = (text + value).split("\n\n");
    text = events.pop();
    for (const lines of events.map((event) => event.split("\n"))) {
      const data = lines.find((line) => line.startsWith("data: "));
      if (!data) continue;
      const news = JSON.parse(data.slice("data: ".length));
      if (lines.includes("event: done")) return reader.cancel().then(() => news);
      hear(news);
    }
  }
};

// Gives up the place that a visitor has at a page.
export const leave = (page, visitor) =>
  navigator.sendBeacon(new URL("leave", page), new URLSearchParams({ visitor, unseen: 1 }));
