// What the hands did to labels and marks, on its way to the server.

import { request } from "../requests.js";
import { openQueue } from "../unsent.js";
import { here, imageHere, isBad, rowOf, say } from "./sheet.js";
import { sitting } from "./sitting.js";

let answers = {};
// How many actions on each image the server has answered: a page that was asked for before the last of
// them may show what was before it.
const settled = new Map();
export const settledOf = (image) => settled.get(String(image)) ?? 0;

// `hears` maps what an answer can be to who deals with it: saved, conflicting, refused.
export const onAnswers = (hears) => {
  answers = hears;
};

const bodyOf = (op, basedOn) => {
  const shared = { operation_id: op.id, sitting };
  if (op.kind === "shown") return { shown: true };
  if (op.kind === "done") return { ...shared, done: op.done };
  if (op.kind === "undo") return op.undoes ? { operation_id: op.id, undoes: op.undoes } : shared;
  return { ...shared, state: op.state, suggestion_visible: op.visible, based_on: basedOn };
};

const send = async (op, basedOn) => {
  const how = { method: op.kind === "undo" ? "POST" : "PUT", json: bodyOf(op, basedOn), keepalive: true };
  return (await request(op.address, how)).json();
};

const count = (op, body = {}) => {
  const image = String(body.image_id ?? op.image);
  settled.set(image, settledOf(image) + 1);
};

const queue = openQueue({
  owner: here().dataset.person,
  send,
  hears: {
    saved: (op, body) => {
      count(op, body);
      answers.saved(op, body);
    },
    stale: (op, body) => {
      count(op);
      answers.conflicting(op, body);
    },
    refused: (op, failed) => {
      count(op);
      answers.refused(op, failed);
    },
    changed: (failed) => {
      sayState();
      if (failed) sayLater(failed);
    },
  },
});

export const { know, isRetrying, open, drop, emptied } = queue;
export const isWaiting = () => queue.size() > 0;
export const laterOps = (attribute) => queue.waiting(attribute);
export const waitingFor = (image) => queue.waiting().filter((op) => op.image === image && op.key);
export const isImageWaiting = (image) => queue.waiting().some((op) => op.image === image);
export const enqueue = (op) => queue.add({ image: imageHere(), ...op });

export const sayState = () => {
  const waiting = queue.size();
  if (queue.isRetrying() && waiting) say(`${waiting} waiting: not saved yet, trying again`, "unsaved");
  else if (waiting) say("Saving …");
  else if (!isBad()) say(here().dataset.end ?? "Saved");
};

const sayLater = (failed) => {
  if (failed.isSignedOut) {
    say(`Signed out: ${queue.size()} waiting, not saved yet. Sign in in another tab; they are kept in this browser.`, "unsaved");
  }
  for (const op of waitingFor(imageHere())) if (op.kind === "save") rowOf(op.key, op.polarity)?.setAttribute("data-unsaved", "");
};
