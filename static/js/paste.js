// Takes a file that is pasted anywhere on the site; a text that comes with one (as from an office program) is the field's.

document.addEventListener("paste", (event) => {
  const pasted = event.clipboardData;
  if (!pasted?.files.length) return;
  if (event.target.closest?.("input, textarea") && pasted.types.includes("text/plain")) return;
  event.preventDefault();
  document.dispatchEvent(new CustomEvent("brought", { detail: pasted }));
});
