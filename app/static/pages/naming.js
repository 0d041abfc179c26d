// Where a note is written, @ offers the names of members: arrows choose, Enter or Tab takes one, Esc closes.

import { onKeys } from "./keys.js";
import { makeSearch } from "./search.js";

const BOXES = "textarea[data-names]";
// From the last @ before the caret: what of a name is typed already.
const BEGUN = /(?:^|[^\w.])@([^\n@]{0,40})$/u;

const look = makeSearch();

const begun = (box) => BEGUN.exec(box.value.slice(0, box.selectionStart))?.[1] ?? null;

const listOf = (box) => {
  const there = document.getElementById(`${box.id}-names`);
  if (there) return there;
  const list = document.createElement("ul");
  list.id = `${box.id}-names`;
  list.className = "names-offered";
  list.setAttribute("role", "listbox");
  list.setAttribute("aria-label", "Members");
  list.hidden = true;
  box.after(list);
  box.setAttribute("aria-autocomplete", "list");
  box.setAttribute("aria-controls", list.id);
  return list;
};

const close = (box) => {
  listOf(box).hidden = true;
  box.removeAttribute("aria-activedescendant");
};

const chosenAt = (list) => [...list.children].findIndex((each) => each.ariaSelected === "true");

const choose = (box, at) => {
  const options = [...listOf(box).children];
  const place = (at + options.length) % options.length;
  options.forEach((each, number) => each.setAttribute("aria-selected", String(number === place)));
  box.setAttribute("aria-activedescendant", options[place].id);
};

const take = (box, name) => {
  const end = box.selectionStart;
  box.setRangeText(`${name} `, end - (begun(box) ?? "").length, end, "end");
  close(box);
  box.dispatchEvent(new Event("input", { bubbles: true }));
};

const optionOf = (box, name, at) => {
  const option = document.createElement("li");
  option.id = `${box.id}-name-${at}`;
  option.setAttribute("role", "option");
  option.textContent = name;
  // Before the box loses the focus.
  option.addEventListener("pointerdown", (event) => {
    event.preventDefault();
    take(box, name);
  });
  return option;
};

const offer = async (box) => {
  const part = begun(box);
  if (part === null) return close(box);
  // Nobody is offered where the server does not answer: names can be typed in full.
  const names = await look(box.dataset.names, part).catch(() => []);
  if (!names || begun(box) !== part) return undefined;
  listOf(box).replaceChildren(...names.map((name, at) => optionOf(box, name, at)));
  if (!names.length) return close(box);
  listOf(box).hidden = false;
  return choose(box, 0);
};

// What the keys do while names are offered; else they are the text's.
const whileOpen = (does) => (event, box) => {
  const list = listOf(box);
  return list.hidden ? false : does(box, list);
};

onKeys(
  {
    ArrowDown: whileOpen((box, list) => choose(box, chosenAt(list) + 1)),
    ArrowUp: whileOpen((box, list) => choose(box, chosenAt(list) - 1)),
    Enter: whileOpen((box, list) => take(box, list.children[chosenAt(list)].textContent)),
    Tab: whileOpen((box, list) => take(box, list.children[chosenAt(list)].textContent)),
    Escape: whileOpen(close),
  },
  { field: BOXES },
);
document.addEventListener("input", ({ target }) => {
  if (target.matches?.(BOXES)) void offer(target);
});
document.addEventListener("focusout", ({ target }) => {
  if (target.matches?.(BOXES)) close(target);
});
