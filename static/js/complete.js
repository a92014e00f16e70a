// Completes the prompt in the search box from what the edition draws by name; asked for once, when the box is entered.

const MOST = 24;
const SUFFIX = 3; // words at the end of the box that may be the beginning of a name
const box = document.querySelector("input[list]");
let known;

const load = async () => {
  const source = new URL(box.list.dataset.words, location);
  source.searchParams.set("edition", box.form.elements.edition.value);
  const answer = await fetch(source);
  if (!answer.ok) throw new Error(answer.statusText);
  known = await answer.json();
};

const completed = (text) => {
  if (!text.trim()) return known.prompts;
  if (text.endsWith(" ")) return known.places.map((place) => text + place);
  const names = [...known.prompts, ...known.words, ...known.places];
  const words = text.split(" ");
  for (let count = Math.min(SUFFIX, words.length); count > 0; count -= 1) {
    const end = words.slice(-count).join(" ").toLowerCase();
    const before = text.slice(0, text.length - end.length);
    const found = names.filter((name) => name.startsWith(end) && name !== end);
    if (found.length) return found.map((name) => before + name);
  }
  return [];
};

const offer = () => {
  if (!known) return;
  const options = completed(box.value).slice(0, MOST);
  box.list.replaceChildren(...options.map((value) => Object.assign(document.createElement("option"), { value })));
};

const attend = async () => {
  try {
    if (!known) await load();
    offer();
  } catch {
    known = undefined; // the box works without; the next time that it is entered, it is asked for again
  }
};

box?.addEventListener("focus", attend);
box?.addEventListener("input", offer);
box?.form.elements.edition.addEventListener("change", () => {
  known = undefined;
});
