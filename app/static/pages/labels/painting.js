// Rows of labels: how they look in each state, where a new one stands, what contradicts.

import { sayKeys } from "../keys.js";
import { attributeAt, known } from "./attributes.js";
import { explain, focusRow, prepareRow } from "./focus.js";
import { STATES, current, element, find, here, isOwn, rowOf, rows, signOf } from "./sheet.js";

export const paint = (key, polarity, state, { who = "you" } = {}) => {
  let row = rowOf(key, polarity);
  if (!state) {
    if (row) removeRow(row);
    return count();
  }
  if (!row) row = addRow(key, polarity);
  if (!row) return count();
  row.dataset.state = state;
  const chip = row.querySelector(".chip");
  chip.className = `chip chip-${state}`;
  chip.textContent = state === "proposed" ? here().dataset.open : state;
  if (who !== null) row.querySelector(".who").textContent = state === "proposed" ? "" : who;
  row.querySelector(".yes")?.setAttribute("aria-pressed", String(state === "confirmed"));
  const no = row.querySelector(".no");
  no?.setAttribute("aria-pressed", String(state === "rejected"));
  row.querySelector(".unsure")?.setAttribute("aria-pressed", String(state === "unsure"));
  if (no) {
    const verb = isOwn(row) ? "Remove" : "Reject";
    no.title = `${verb} (n)`;
    no.ariaLabel = `${verb} ${row.dataset.name}`;
    sayKeys(row);
  }
  return count();
};

const count = () => {
  const all = rows();
  for (const state of STATES) {
    const place = find(`[data-count="${state}"]`);
    const number = all.filter((row) => row.dataset.state === state).length;
    place.textContent = number;
    if (place.parentElement.matches(".if-any")) place.parentElement.hidden = !number;
  }
  for (const root of here().querySelectorAll(".root")) {
    const inside = [...root.querySelectorAll("li.label")];
    const open = inside.filter((row) => row.dataset.state === "proposed").length;
    root.querySelector("h2 .num").textContent = `${inside.length - open}/${inside.length}`;
  }
  const nothing = find("#nothing");
  if (nothing) nothing.hidden = all.length > 0;
};

const removeRow = (row) => {
  const was = row === current();
  const place = rows().indexOf(row);
  const group = row.closest(".group");
  const root = row.closest(".root");
  row.remove();
  if (!group.querySelector("li.label")) group.remove();
  if (!root.querySelector("li.label")) root.remove();
  if (was) focusRow(rows()[Math.min(place, rows().length - 1)]);
  if (was && !rows().length) explain(null);
};

// A new row stands where the server would put it: in tree order.
const addRow = (key, polarity) => {
  const made = attributeAt(key, polarity);
  if (!made) return null;
  const opposite = known().find((each) => each.key === key && each.polarity !== polarity);
  const row = find("#row-template").content.querySelector("li").cloneNode(true);
  Object.assign(row.dataset, {
    key, polarity, name: made.name, relation: made.relation, opposite: opposite?.name ?? "",
  });
  row.id = `label-${key}-${polarity}`;
  const sign = row.querySelector(".sign");
  sign.className = `sign ${polarity}`;
  sign.textContent = signOf(polarity);
  sign.nextElementSibling.textContent = polarity;
  row.querySelector(".name").textContent = made.name;
  row.querySelector("summary").title = made.definition;
  row.querySelector(".why p").textContent = made.definition;
  for (const form of row.querySelectorAll("form")) {
    form.elements.key.value = key;
    form.elements.polarity.value = polarity;
  }
  row.querySelector(".yes").ariaLabel = `Confirm ${made.name}`;
  row.querySelector(".unsure").ariaLabel = `Unsure of ${made.name}`;
  placeRow(row, made);
  prepareRow(row);
  return row;
};

const placeOf = (row, list) =>
  list.findIndex((each) => each.key === row.dataset.key && each.polarity === row.dataset.polarity);

const nextOf = (parts, made) => {
  const list = known();
  const at = list.indexOf(made);
  return parts.find((part) => placeOf(part.matches("li") ? part : part.querySelector("li.label"), list) > at);
};

const insert = (part, parts, made, atEnd) => {
  const next = nextOf(parts, made);
  next ? next.before(part) : atEnd(part);
};

const rootFor = (made, name) => {
  const all = [...here().querySelectorAll(".root")];
  const found = all.find((each) => each.dataset.root === name);
  if (found) return found;
  const root = element("section", { className: "root" }, element("h2", {}, `${name} `, element("span", { className: "muted num" })));
  root.dataset.root = name;
  insert(root, all, made, (part) => find("#nothing").before(part));
  return root;
};

const groupFor = (made, root, path) => {
  const found = [...here().querySelectorAll(".group")].find((each) => each.dataset.parent === made.parent);
  if (found) return found;
  const group = element("div", { className: "group" }, element("ul"));
  group.dataset.parent = made.parent;
  if (path.length) group.prepend(element("h3", {}, path.join(" › ") + (made.exclusive ? " · one of" : "")));
  insert(group, [...root.querySelectorAll(".group")], made, (part) => root.append(part));
  return group;
};

const placeRow = (row, made) => {
  const [rootName, ...path] = made.path;
  const group = groupFor(made, rootFor(made, rootName), path);
  insert(row, [...group.querySelectorAll("li.label")], made, (part) => group.querySelector("ul").append(part));
};

export const showContradictions = (found) => {
  for (const list of here().querySelectorAll(".against")) list.replaceChildren();
  for (const each of found) {
    for (const { key, polarity } of each.attributes) {
      rowOf(key, polarity)?.querySelector(".against").append(element("li", { textContent: each.message }));
    }
  }
  const number = find("#num-against");
  number.hidden = !found.length;
  number.querySelector("b").textContent = found.length;
};
