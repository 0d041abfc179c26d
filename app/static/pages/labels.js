// The labelling page: what the hands do. Every action is painted at once and put into one queue.

import { onKeys, sayKeys } from "./keys.js";
import { addFound, closeSearch, openSearch, prepareSearch, search } from "./labels/adding.js";
import { loadAttributes } from "./labels/attributes.js";
import { confirmRow, doubtRow, flipRow, rejectRow, repaint, undoLast } from "./labels/deciding.js";
import { finishAnyway, markDone } from "./labels/finishing.js";
import { listKeys, prepareList } from "./labels/folding.js";
import { holdWhenSaved } from "./labels/holding.js";
import { focusFirst, focusRow, prepareRow, step, watchList } from "./labels/focus.js";
import { open } from "./labels/saving.js";
import { current, find, here, rows } from "./labels/sheet.js";
import { go, loadAhead, onSheet, toggleSuggestions } from "./labels/turning.js";
import { lookKeys, pan, preparePicture } from "./zoom.js";

const prepare = () => {
  here().classList.add("scripted");
  rows().forEach(prepareRow);
  prepareSearch();
  prepareList();
  sayKeys(here());
  preparePicture();
  loadAttributes();
  // All of the sheet takes htmx long.
  here().querySelectorAll("[hx-get]").forEach((each) => window.htmx?.process(each));
  focusFirst();
  watchList();
  repaint();
  loadAhead();
  holdWhenSaved();
};

const withRow = (does) => () => void (current() && does(current()));

const openHistory = () => {
  const story = find("#history");
  if (story) story.open = !story.open;
};

onKeys(
  {
    j: () => step(1),
    k: () => step(-1),
    y: withRow(confirmRow),
    Enter: withRow(confirmRow),
    n: withRow(rejectRow),
    x: withRow(rejectRow),
    i: withRow(doubtRow),
    o: withRow(flipRow),
    a: openSearch,
    "/": openSearch,
    u: () => void undoLast(),
    d: () => void markDone(),
    "[": () => void go(here().dataset.previous),
    "]": () => void go(here().dataset.next),
    ...lookKeys,
    ...listKeys,
    s: () => void toggleSuggestions(),
    h: openHistory,
  },
  { repeats: ["j", "k", "+", "-"] },
);
// With Shift the arrows move the picture; where it has the focus they do so by themselves.
const moving = (across, down, does) => (event) => (event.shiftKey ? pan(across, down) : void (event.repeat && across ? null : does()));
onKeys(
  {
    ArrowDown: moving(0, 1, () => step(1)),
    ArrowUp: moving(0, -1, () => step(-1)),
    ArrowLeft: moving(-1, 0, () => go(here().dataset.previous)),
    ArrowRight: moving(1, 0, () => go(here().dataset.next)),
  },
  { except: "#stage" },
);
onKeys({ d: finishAnyway }, { within: "#undecided", overDialogs: true });

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id === "history-entries") find("#history").scrollIntoView({ block: "start" });
});

document.addEventListener("input", (event) => {
  if (event.target.id === "add-words") search();
});

document.addEventListener("focusin", (event) => {
  const row = event.target.closest("li.label");
  if (row && row !== current()) focusRow(row);
  if (event.target.id !== "add-words" && !event.target.closest("#add-found")) closeSearch();
});

document.addEventListener("mousedown", (event) => {
  if (event.target.closest("#add-found")) event.preventDefault(); // the search box keeps the focus
});

const onRow = (event, target) => {
  const row = target.closest("li.label");
  if (!row) return false;
  if (target.closest("summary")) event.preventDefault();
  else if (target.closest("button, a")) return false;
  focusRow(row);
  return true;
};

document.addEventListener("click", (event) => {
  const { target } = event;
  const chosen = target.closest("#add-found [role=option]");
  if (chosen) return addFound(chosen, event.shiftKey);
  if (target.closest("#focused [data-flips]")) return flipRow(current());
  if (onRow(event, target) || event.ctrlKey || event.metaKey || event.shiftKey) return undefined;
  const link = target.closest("#labelling a[rel=prev], #labelling a[rel=next]");
  const isToggle = target.closest("#suggestions");
  if (!link && !isToggle) return undefined;
  event.preventDefault();
  return isToggle ? toggleSuggestions() : go(link.getAttribute("href"));
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  const row = form.closest("li.label");
  const does = { done: markDone, undo: undoLast, add: () => {} }[form.id];
  if (!row && !does) return;
  event.preventDefault();
  if (does) does();
  else if (event.submitter.value === "confirmed") confirmRow(row);
  else if (event.submitter.value === "unsure") doubtRow(row);
  else rejectRow(row);
});

onSheet(prepare);
prepare();
open().then((hadMore) => hadMore && repaint());
