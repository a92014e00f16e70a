// Shows the chosen, dropped or pasted picture in the shape in which it will be searched for, before it is sent.

const form = document.querySelector("#bring");
const input = form.querySelector("input[type=file]");
const image = form.querySelector("#shown img");
const notice = document.querySelector("#notice");
const WAYS = { fill: "cover", fit: "contain", stretch: "fill" };
let url;

const fit = () => { image.style.objectFit = WAYS[new FormData(form).get("fit")]; };

const show = () => {
  URL.revokeObjectURL(url);
  const [file] = input.files;
  notice.textContent = file && file.size > Number(input.dataset.limit) ? input.dataset.large : "";
  image.hidden = !file;
  if (!file) return;
  url = URL.createObjectURL(file);
  image.src = url;
  fit();
};

form.querySelector(".scripted").hidden = false;
form.addEventListener("change", ({ target }) => (target === input ? show() : fit()));
image.addEventListener("error", () => { image.hidden = true; }); // a kind that the library reads and this browser does not

// What is dropped or pasted on this page is meant for its form.
document.addEventListener("brought", (event) => {
  const { files } = event.detail;
  if (!files.length) return;
  event.stopImmediatePropagation();
  if (files.length > 1) {
    notice.textContent = input.dataset.several;
    return;
  }
  input.files = files;
  show();
  form.querySelector("button[type=submit]").focus();
});

if (input.files.length) show(); // back from the next page
