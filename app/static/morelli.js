// What every page shares: the key help, confirmation before harm, times in the reader's own zone.

import { onKeys } from "./pages/keys.js";
import "./pages/requests.js";
import "./pages/unsaved.js";

onKeys({
  "?": () => {
    const keys = document.getElementById("keys");
    if (!keys) return false;
    keys.open ? keys.close() : keys.showModal();
    return true;
  },
}, { overDialogs: true });
document.addEventListener("click", (event) => {
  const opener = event.target instanceof Element && event.target.closest("[data-opens]");
  if (opener) document.getElementById(opener.dataset.opens)?.showModal();
  const copier = event.target instanceof Element && event.target.closest("[data-copies]");
  if (copier) {
    navigator.clipboard?.writeText(document.getElementById(copier.dataset.copies).textContent.trim()).then(() => {
      copier.textContent = "Copied";
    });
  }
});

// A form that destroys something asks first: <form data-confirm="...">.
const ask = (event) => {
  const form = event.target instanceof Element && event.target.closest("form[data-confirm]");
  if (!form) return;
  if (!window.confirm(form.dataset.confirm)) {
    event.preventDefault();
    event.stopImmediatePropagation();
  }
};
document.addEventListener("submit", ask, true);

// What is shown once comes as the answer to a form. Loading such a page again must not send the form
// again, so its address becomes that of the page: <... data-address="...">.
const shownOnce = document.querySelector("[data-address]");
if (shownOnce) history.replaceState(null, "", shownOnce.dataset.address);

const localTimes = (root) => {
  for (const each of root.querySelectorAll("time[datetime]:not([data-local])")) {
    const moment = new Date(each.dateTime);
    if (!Number.isNaN(moment.getTime())) each.title = moment.toLocaleString();
    each.dataset.local = "";
  }
};
localTimes(document);
document.addEventListener("htmx:load", (event) => localTimes(event.target));
