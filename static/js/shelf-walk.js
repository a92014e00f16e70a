// Leads from two pictures of the shelf to the walk between them: the two that were chosen last.

const walk = document.querySelector("#walk");
let chosen = [];

document.addEventListener("change", ({ target }) => {
  if (!walk || !target.matches("[data-chosen]")) return;
  chosen = chosen.filter((box) => box !== target && box.isConnected);
  if (target.checked) chosen.push(target);
  if (chosen.length > 2) chosen.shift().checked = false;
  [walk.elements.from.value, walk.elements.to.value] = chosen.map((box) => box.value);
  walk.querySelector("button").disabled = chosen.length < 2;
});
