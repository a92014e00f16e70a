// Lays two pictures over one another under a slider, also where they come into the page later.

const lay = () => {
  const [pair, slide] = ["#pair", "#slide"].map((each) => document.querySelector(each));
  if (!slide) return;
  const cut = slide.querySelector("input");
  const move = () => pair.style.setProperty("--cut", `${cut.value}%`);
  slide.hidden = false;
  pair.classList.add("over");
  cut.addEventListener("input", move);
  pair.addEventListener("pointermove", ({ clientX, buttons }) => {
    if (!buttons) return;
    const { left, width } = pair.querySelector("img").getBoundingClientRect();
    cut.value = (100 * (clientX - left)) / width;
    move();
  });
  move();
};

lay();
document.addEventListener("page-printed", lay);
