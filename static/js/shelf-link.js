// A shelf as one link, behind its #, which no browser sends: makes it, and opens the one that was followed.

const shelves = document.querySelector("#shelves");
const [memory, packing] = await Promise.all([import(shelves.dataset.memory), import(shelves.dataset.packing)]);
const [given, link, region] = ["#given", "#link", "#said"].map((id) => document.querySelector(id));
const said = region.dataset;
const limit = Number(link.dataset.limit); // characters of the whole link

const make = async () => {
  const bare = new URL("#", location).href;
  const packed = await packing.pack(memory.list(memory.SHELF).map(({ path }) => path), limit - bare.length);
  if (!packed) return said.long;
  Object.assign(link, { value: bare + packed, hidden: false }).select();
  return navigator.clipboard?.writeText(link.value).then(() => said.copied, () => said.made) ?? said.made;
};

const take = (entries) => {
  const more = memory.merge(memory.SHELF, entries);
  const merged = said.merged.replace("{more}", more).replace("{of}", entries.length);
  region.textContent = more === null ? said.failed : merged;
  dispatchEvent(new Event("shelf-changed"));
};

const open = async () => {
  const sent = location.hash.slice(1);
  given.hidden = true;
  if (!packing.isPacked(sent)) return "";
  const paths = sent.length > limit ? [] : await packing.unpack(sent).catch(() => []);
  const entries = memory.entries(paths.map((path) => ({ path, at: Date.now() })));
  if (!entries.length) return said.damaged;
  document.dispatchEvent(new CustomEvent("shelf-given", { detail: { list: given.querySelector("ul"), entries } }));
  given.querySelector("button").onclick = () => take(entries);
  given.hidden = false;
  return "";
};

const tell = async (answer) => { region.textContent = await answer; };
document.querySelector("#share").addEventListener("click", () => tell(make()));
addEventListener("hashchange", () => tell(open()));
tell(open());
