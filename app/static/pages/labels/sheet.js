// The image one is at, as the page shows it, and how its parts are found. Images are exchanged in place:
// the sheet is another one then, and everything else goes on.

export const STATES = ["proposed", "confirmed", "rejected", "unsure"];

let sheet = document.getElementById("labelling");

export const here = () => sheet;
export const imageHere = () => sheet.dataset.image;
// What one is here to decide: proposals, or in the queue of unsure labels those.
export const waits = (row) => row.dataset.state === sheet.dataset.wants;
export const isHidden = () => sheet.dataset.hide === "true";

export const exchange = (next) => {
  sheet.replaceWith(next);
  sheet = next;
};

export const find = (selector) => sheet.querySelector(selector);
export const rows = () => [...sheet.querySelectorAll("li.label")];
export const current = () => find("li.label[data-here]");
export const rowOf = (key, polarity) => document.getElementById(`label-${key}-${polarity}`);
export const stateOf = (key, polarity) => rowOf(key, polarity)?.dataset.state ?? null;
export const isOwn = (row) => "own" in row.dataset && ["confirmed", "unsure"].includes(row.dataset.state);
export const named = (image, key, polarity) => `${image}/${key}/${polarity}`;
export const other = (polarity) => (polarity === "positive" ? "negative" : "positive");
export const signOf = (polarity) => (polarity === "positive" ? "+" : "−");
export const imageOf = (address) => new URL(address, location.href).pathname.split("/").pop();

export const element = (tag, values = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...children);
  return made;
};

// What stands beside the tally: how saving goes, and what went wrong.
export const say = (text, is = "") => {
  const place = find("#saving");
  place.dataset.is = is;
  if (place.textContent !== text) place.textContent = text;
};

export const isBad = () => find("#saving").dataset.is === "bad";
export const clearBad = () => {
  if (isBad()) find("#saving").dataset.is = "";
};
