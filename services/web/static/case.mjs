// A case as paper: the button prints what is shown, with everything that is folded away left out.

const button = document.querySelector("[data-print]");
if (button) {
  button.hidden = false;
  button.addEventListener("click", () => window.print());
}
