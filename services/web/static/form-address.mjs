// A form whose draft is kept in the page's address, so that it can be reloaded or passed on.

const LONGEST_ADDRESS = 4000;

for (const form of document.querySelectorAll("[data-keep-in-address]")) {
  form.addEventListener("input", () => {
    const kept = new URLSearchParams();
    for (const [name, text] of new FormData(form)) if (name !== "forgery" && text !== "") kept.set(name, text);
    const address = `${form.dataset.keepInAddress}?${kept}`;
    // The page of a draft that was refused has the address of its form, which can only be sent.
    if (location.pathname === form.dataset.keepInAddress && address.length < LONGEST_ADDRESS) history.replaceState(null, "", address);
  });
}
