// Decisions: painted at once, put into the queue, and what becomes of them when the server answers.

import { newId } from "../new_id.js";
import { loadAttributes } from "./attributes.js";
import { focusRow, keepInView, nextUndecided } from "./focus.js";
import { paint, showContradictions } from "./painting.js";
import { drop, enqueue, isRetrying, know, laterOps, onAnswers, waitingFor } from "./saving.js";
import { clearBad, current, find, here, imageHere, isHidden, isOwn, named, other, rowOf, say, stateOf } from "./sheet.js";
import { go } from "./turning.js";

const conflicts = new Map(); // attribute -> both values, until one is chosen
const done = []; // what was done in this page, newest last, for undo
const marked = new Set(); // images marked as done in this page

export const isMarked = (image) => marked.has(image);

const remember = (op) => {
  done.push(op);
  return op;
};

const act = (key, polarity, state, group = newId()) => {
  const attribute = named(imageHere(), key, polarity);
  const shown = stateOf(key, polarity);
  conflicts.delete(attribute);
  rowOf(key, polarity)?.querySelector(".stands")?.remove();
  const made = !rowOf(key, polarity);
  paint(key, polarity, state === "withdrawn" ? null : state);
  const row = rowOf(key, polarity);
  if (made && row) row.dataset.own = "";
  const { api, revision, url } = here().dataset;
  remember(enqueue({
    kind: "save", key, polarity, state, about: attribute, group, shown, url,
    name: row?.dataset.name ?? key,
    visible: !isHidden(),
    revision: Number(revision),
    address: `${api}/${key}/${polarity}`,
  }));
};

const refuseRetired = () => say("This attribute pair is retired; its labels are kept as they are.", "bad");

const decide = (row, state) => {
  if ("retired" in row.dataset) return refuseRetired();
  clearBad();
  return act(row.dataset.key, row.dataset.polarity, state);
};

export const confirmRow = (row) => {
  decide(row, "confirmed");
  nextUndecided(row);
};

export const rejectRow = (row) => {
  decide(row, isOwn(row) ? "withdrawn" : "rejected");
  if (row.isConnected) nextUndecided(row);
};

export const doubtRow = (row) => {
  decide(row, "unsure");
  nextUndecided(row);
};

export const flipRow = async (row) => {
  if ("retired" in row.dataset) return refuseRetired();
  await loadAttributes();
  clearBad();
  const { key, polarity } = row.dataset;
  const group = newId();
  if (row.dataset.state !== "rejected") act(key, polarity, isOwn(row) ? "withdrawn" : "rejected", group);
  if (stateOf(key, other(polarity)) !== "confirmed") act(key, other(polarity), "confirmed", group);
  const flipped = rowOf(key, other(polarity));
  flipped?.classList.add("fresh");
  nextUndecided(row.isConnected ? row : flipped);
  return undefined;
};

export const addLabel = (key, polarity) => {
  clearBad();
  if (stateOf(key, polarity) !== "confirmed") act(key, polarity, "confirmed");
};

export const markImage = () => {
  const { mark, name, url } = here().dataset;
  marked.add(imageHere());
  remember(enqueue({ kind: "done", done: true, address: mark, name, url, group: newId() }));
};

// Undo ---

const takeBack = (op) => {
  enqueue({
    kind: "undo", address: here().dataset.takeback, undoes: op.id, image: op.image, url: op.url,
    about: op.about, key: op.key, polarity: op.polarity, name: op.name, shown: op.shown,
  });
  if (op.kind === "done") {
    marked.delete(op.image);
    if (op.image === imageHere()) here().dataset.done = "false";
  } else if (op.image === imageHere()) paint(op.key, op.polarity, op.shown, { who: "" });
};

// What one did last is taken back wherever it was: also the mark of an image one has left. What was done
// before this page was loaded is known to the server, which goes no further back than this sitting.
export const undoLast = () => {
  clearBad();
  while (done.at(-1)?.lost) done.pop();
  const last = done.at(-1);
  if (!last) return enqueue({ kind: "undo", address: here().dataset.takeback, image: "" });
  while (done.length && done.at(-1).group === last.group) {
    const op = done.pop();
    if (!op.lost) takeBack(op);
  }
  return goBack(last.image, last.url, last.key, last.polarity);
};

const goBack = async (image, url, key, polarity) => {
  if (image !== imageHere()) await go(url);
  if (key) focusRow(rowOf(key, polarity) ?? current());
};

const pageOf = (image) => here().dataset.url.replace(/\/[^/?]+(?=\?|$)/, `/${image}`);

const tookBack = async (op, body) => {
  const image = String(body.image_id);
  if (image !== imageHere()) {
    if (!op.undoes) await goBack(image, pageOf(image), body.key, body.polarity);
  } else if (!body.key) {
    await go(here().dataset.url, { push: false, quiet: true }); // as it is without the mark
  } else if (!op.undoes) focusRow(rowOf(body.key, body.polarity) ?? current());
};

// Answers ---

const saved = (op, body) => {
  if (op.kind === "shown" || op.kind === "done") return;
  if (body.key) {
    const attribute = named(op.kind === "undo" ? body.image_id : op.image, body.key, body.polarity);
    know(attribute, body.revision);
    const isHere = String(body.image_id ?? op.image) === imageHere();
    if (isHere) rowOf(body.key, body.polarity)?.removeAttribute("data-unsaved");
    if (isHere && !laterOps(attribute).length) paint(body.key, body.polarity, body.state, { who: op.undoes || op.kind === "save" ? null : "" });
    if (isHere) showContradictions(body.contradictions);
    if (isHere) keepInView();
  }
  if (op.kind === "undo") tookBack(op, body);
};

const conflicting = (op, body) => {
  const dropped = [op, ...drop(op.about)];
  const wish = dropped.filter((each) => each.kind === "save").pop() ?? op;
  const gone = new Set(dropped.map((each) => each.id));
  for (const each of done) if (gone.has(each.id)) each.lost = true;
  conflicts.set(op.about, { wanted: wish.state, theirs: body.theirs, message: body.detail });
  if (op.image === imageHere()) showConflict(op.key, op.polarity);
  else say(`${op.name}: ${body.detail} Yours was not saved.`, "bad");
};

const refused = (op, failed) => {
  for (const each of done) if (each.id === op.id) each.lost = true;
  say(`${op.name ? `${op.name}: ` : ""}${failed.message}`, "bad");
  if (op.kind === "done") {
    marked.delete(op.image);
    return;
  }
  if (op.image === imageHere() && op.kind !== "shown") go(here().dataset.url, { push: false, quiet: true });
};

onAnswers({ saved, conflicting, refused });

// Conflicts ---

const word = (state) => state ?? "no label";

const showConflict = (key, polarity) => {
  const attribute = named(imageHere(), key, polarity);
  const conflict = conflicts.get(attribute);
  paint(key, polarity, conflict.theirs.state, { who: conflict.theirs.by ?? "" });
  const row = rowOf(key, polarity);
  if (!row) {
    say(conflict.message, "bad");
    conflicts.delete(attribute);
    return;
  }
  row.querySelector(".stands")?.remove();
  const stands = find("#stands-template").content.firstElementChild.cloneNode(true);
  const [keepTheirs, saveMine] = stands.querySelectorAll("button");
  stands.querySelector("p").textContent = conflict.message;
  keepTheirs.textContent = `Keep: ${word(conflict.theirs.state)}`;
  saveMine.textContent = `Save mine: ${conflict.wanted}`;
  saveMine.title = { confirmed: "y", unsure: "i" }[conflict.wanted] ?? "n";
  keepTheirs.addEventListener("click", () => {
    conflicts.delete(attribute);
    stands.remove();
    focusRow(row);
  });
  saveMine.addEventListener("click", () => decide(row, conflict.wanted));
  row.append(stands);
  focusRow(row);
};

// What was done here and is not saved yet, or not agreed on, is painted over what the server knows.
export const repaint = async () => {
  const image = imageHere();
  const mine = waitingFor(image);
  const open = [...conflicts.keys()].filter((each) => each.startsWith(`${image}/`));
  if (!mine.length && !open.length) return;
  await loadAttributes();
  for (const op of mine) {
    const state = op.kind === "undo" ? op.shown : op.state === "withdrawn" ? null : op.state;
    const made = !rowOf(op.key, op.polarity);
    paint(op.key, op.polarity, state);
    const row = rowOf(op.key, op.polarity);
    if (made && row) row.dataset.own = "";
    if (isRetrying()) row?.setAttribute("data-unsaved", "");
  }
  for (const each of open) showConflict(...each.split("/").slice(1));
};
