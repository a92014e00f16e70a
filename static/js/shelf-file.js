// Saves what this browser keeps as a file, and puts what such a file holds beside it.

const shelves = document.querySelector("#shelves");
const memory = await import(shelves.dataset.memory);
const [file, said] = [document.querySelector("#file"), document.querySelector("#said").dataset];
const FORM = "babelia-shelf";

const say = (sentence) => { document.querySelector("#said").textContent = sentence; };

const save = () => {
  const data = { form: FORM, version: 1, kept: memory.list(memory.SHELF), seen: memory.list(memory.HISTORY) };
  const body = new Blob([JSON.stringify(data, null, 1)], { type: "application/json" });
  const link = document.createElement("a");
  Object.assign(link, { href: URL.createObjectURL(body), download: file.dataset.name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
};

const read = async (chosen) => {
  if (chosen.size > Number(file.dataset.bytes)) return said.large;
  let data;
  try {
    data = JSON.parse(await chosen.text());
  } catch {
    return said.broken;
  }
  const [kept, seen] = [memory.entries(data?.kept), memory.entries(data?.seen)];
  if (data?.form !== FORM || !(kept.length || seen.length)) return said.foreign;
  const more = memory.merge(memory.SHELF, kept);
  memory.merge(memory.HISTORY, seen);
  dispatchEvent(new Event("shelf-changed"));
  if (more === null) return said.failed;
  const here = shelves.dataset.editions.split(" ");
  const absent = kept.filter(({ path }) => !here.includes(memory.read(path).edition)).length;
  const merged = said.merged.replace("{more}", more).replace("{of}", kept.length);
  return absent ? `${merged} ${said.absent.replace("{n}", absent)}` : merged;
};

document.querySelector("#save").addEventListener("click", save);
file.addEventListener("change", async () => {
  say(await read(file.files[0]).catch(() => said.broken));
  file.value = "";
});
