// Shows the picture alone, as large as the screen: by its button, by a click or a tap on it; Esc and a second tap leave.

const frame = () => document.querySelector(".plate .frame");
const isFull = () => document.fullscreenElement !== null || frame().classList.contains("alone");

const leave = () => {
  frame().classList.remove("alone");
  if (document.fullscreenElement) document.exitFullscreen();
};

// A telephone without this of browsers' (iPhones) has the picture over the whole page instead.
const enter = async () => {
  try {
    await frame().requestFullscreen();
  } catch {
    frame().classList.add("alone");
  }
};

const turn = () => (isFull() ? leave() : enter());

for (const button of document.querySelectorAll("[data-full]")) {
  button.hidden = false;
  button.addEventListener("click", turn);
}

document.addEventListener("click", ({ target }) => {
  if (target.matches(".plate #picture:not(.veiled)")) turn();
});
document.addEventListener("keydown", ({ key }) => { if (key === "Escape") leave(); });
