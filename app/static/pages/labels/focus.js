// The label that the keys act on, and what is said of it.

import { sayKeys } from "../keys.js";
import { current, element, find, rows, signOf, waits } from "./sheet.js";

const quieten = (row) => {
  row.tabIndex = -1;
  for (const button of row.querySelectorAll("button")) button.tabIndex = -1;
};

export const prepareRow = (row) => {
  quieten(row);
  row.querySelector("summary").tabIndex = -1;
};

export const focusRow = (row, { flash = false } = {}) => {
  if (!row?.isConnected) return;
  const old = current();
  if (old && old !== row) {
    delete old.dataset.here;
    quieten(old);
  }
  row.dataset.here = "";
  row.tabIndex = 0;
  for (const button of row.querySelectorAll("button")) button.tabIndex = 0;
  if (!row.contains(document.activeElement)) row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
  if (flash) {
    row.classList.remove("fresh");
    row.getBoundingClientRect(); // so that it flashes once more
    row.classList.add("fresh");
  }
  explain(row);
};

// What is said above the list or beside a label moves the list; the label in focus stays in sight.
export const keepInView = () => current()?.scrollIntoView({ block: "nearest" });

let watched = null;
const watching = new ResizeObserver(keepInView);
export const watchList = () => {
  if (watched) watching.unobserve(watched);
  watched = find("#labels");
  watching.observe(watched);
};

export const explain = (row) => {
  const place = find("#focused");
  if (!row) return place.replaceChildren();
  const { polarity, name, opposite, relation } = row.dataset;
  const head = element("p", { className: "of" }, element("span", { textContent: `${signOf(polarity)} ${name}` }));
  if (relation === "opposed" && opposite) {
    const flip = element("button", { type: "button", className: "small quiet", title: "The opposite holds (o)" });
    flip.textContent = `${polarity === "positive" ? "−" : "+"} ${opposite} instead`;
    flip.dataset.flips = "";
    head.append(flip);
  }
  const why = [...row.querySelectorAll(".why p, .why .shows")].map((each) => each.cloneNode(true));
  place.replaceChildren(head, ...why);
  sayKeys(place);
  place.scrollTop = 0;
  return undefined;
};

// Where one begins: at the label that the address names, or the first that is undecided.
export const focusFirst = () => {
  const all = rows();
  const named = location.hash && all.find((row) => row.id === location.hash.slice(1));
  focusRow(named || all.find(waits) || all[0]);
};

export const step = (by) => {
  const all = rows().filter((row) => row.checkVisibility()); // not what is folded away
  const at = all.indexOf(current());
  focusRow(all[Math.max(0, Math.min(all.length - 1, at + by))]);
};

export const nextUndecided = (from) => {
  const all = rows();
  const at = all.indexOf(from);
  const open = (row) => waits(row) && row !== from;
  focusRow(all.slice(at + 1).find(open) ?? all.find(open) ?? from);
};
