// The box that adds labels: what words find, what the one chosen means, and the label that comes of it.

import { onKeys } from "../keys.js";
import { makeSearch } from "../search.js";
import { loadAttributes } from "./attributes.js";
import { addLabel } from "./deciding.js";
import { focusRow } from "./focus.js";
import { current, element, find, here, rowOf, rows, signOf, stateOf } from "./sheet.js";

const look = makeSearch({ keep: true });
let searching = Promise.resolve();

const list = () => find("#add-found");
const words = () => find("#add-words");
const options = () => [...list().querySelectorAll("[role=option]")];
const isOpen = () => !list().hidden;
const chosenAt = () => options().findIndex((each) => each.ariaSelected === "true");

export const search = () => {
  searching = showFound();
};

const showFound = async () => {
  const text = words().value.trim();
  if (!text) return closeSearch();
  let found = null;
  let none = "Nothing in the criteria holds these words.";
  try {
    found = await look(here().dataset.attributes, text);
    if (!found) return undefined;
  } catch (failed) {
    none = failed.message;
  }
  list().replaceChildren(...(found ?? []).map((each, at) => option(each, at)));
  if (!found?.length) list().append(element("li", { className: "none muted", textContent: none }));
  list().hidden = false;
  words().setAttribute("aria-expanded", "true");
  return choose(0);
};

const option = (each, at) => {
  const made = element(
    "li",
    { id: `add-${at}`, role: "option" },
    element("span", { className: `sign-small ${each.polarity}`, textContent: signOf(each.polarity) }),
    element("span", { textContent: each.name }),
    element("span", { className: "muted small", textContent: stateOf(each.key, each.polarity) ?? "" }),
    element("span", { className: "path", textContent: each.path.join(" › ") }),
    element("span", { className: "definition", textContent: each.definition || "No definition." }),
  );
  Object.assign(made.dataset, { key: each.key, polarity: each.polarity });
  return made;
};

const choose = (at) => {
  options().forEach((each, place) => each.setAttribute("aria-selected", String(place === at)));
  const chosen = options()[at];
  chosen?.scrollIntoView({ block: "nearest" });
  if (chosen) words().setAttribute("aria-activedescendant", chosen.id);
  else words().removeAttribute("aria-activedescendant");
};

export const closeSearch = () => {
  look.forget();
  list().hidden = true;
  words().setAttribute("aria-expanded", "false");
  words().removeAttribute("aria-activedescendant");
};

const leaveSearch = (row = current() ?? rows()[0], how = {}) => {
  words().value = "";
  closeSearch();
  if (row) focusRow(row, how);
  else words().blur();
};

export const openSearch = () => {
  words().focus();
  words().select();
};

// The label that was added is the one the keys act on next.
export const addFound = (chosen, stay) => {
  const { key, polarity } = chosen.dataset;
  addLabel(key, polarity);
  const row = rowOf(key, polarity);
  if (!stay) return leaveSearch(row ?? undefined, { flash: true });
  row?.scrollIntoView({ block: "nearest" });
  row?.classList.add("fresh");
  words().select();
  return search();
};

const addWhenFound = async (stay) => {
  await Promise.all([searching, loadAttributes()]);
  const chosen = isOpen() ? options()[chosenAt()] : null;
  if (chosen) addFound(chosen, stay);
};

const moveChoice = (by) => {
  if (isOpen()) choose(Math.max(0, Math.min(chosenAt() + by, options().length - 1)));
  return isOpen();
};

export const prepareSearch = () => {
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-expanded": "false", "aria-controls": "add-found", "aria-autocomplete": "list",
  })) words().setAttribute(name, value);
  words().placeholder = "Add a label (a or /)";
};

onKeys(
  {
    Escape: () => leaveSearch(),
    ArrowDown: () => moveChoice(1),
    ArrowUp: () => moveChoice(-1),
    Enter: (event) => void addWhenFound(event.shiftKey),
  },
  { field: "#add-words" },
);
