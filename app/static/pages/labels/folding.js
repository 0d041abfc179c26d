// How the list of labels is shown, in this browser: what is decided folded away, lines closer together.

import { inBrowser } from "../kept.js";
import { keepInView } from "./focus.js";
import { find, here } from "./sheet.js";

const KEEP = "morelli-labels-";

const isOn = (name) => inBrowser.read(KEEP + name) === true;

export const prepareList = () => {
  for (const button of here().querySelectorAll("[data-list]")) {
    const name = button.dataset.list;
    find("#labels").classList.toggle(name, isOn(name));
    button.setAttribute("aria-pressed", String(isOn(name)));
  }
};

const turn = (name) => {
  inBrowser.write(KEEP + name, !isOn(name));
  prepareList();
  keepInView();
};

export const listKeys = { f: () => turn("folded"), c: () => turn("compact") };

document.addEventListener("click", (event) => {
  const name = event.target instanceof Element && event.target.closest("[data-list]")?.dataset.list;
  if (name) turn(name);
});
