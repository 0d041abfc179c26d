// What is not saved yet, in the order of the hands. It is sent in order and again with the same operation
// id, so that nothing is lost or doubled; it is kept in the browser until the server acknowledges it.

import { request } from "../requests.js";
import { guard } from "../unsaved.js";
import { find, here, imageHere, isBad, rowOf, say } from "./sheet.js";
import { keep, left, newId, sitting, takeOver } from "./storage.js";

const RETRY_SECONDS = [1, 2, 4, 8, 15];

const queue = [...left];
const seen = new Map(); // attribute -> revision of the image in which we know it
let sending = false;
let failures = 0;
let retryTimer = 0;
let answers = {};

export const isRetrying = () => failures > 0;
export const isWaiting = () => queue.length > 0;
export const waitingFor = (image) => queue.filter((op) => op.image === image && op.key);
export const laterOps = (attribute) => queue.filter((op) => op.attribute === attribute);
export const isImageWaiting = (image) => queue.some((op) => op.image === image);
export const know = (attribute, revision) => seen.set(attribute, revision);

// `hears` maps what an answer can be to who deals with it: saved, conflicting, refused.
export const onAnswers = (hears) => {
  answers = hears;
};

export const sayState = () => {
  const waiting = queue.length;
  if (failures && waiting) say(`${waiting} waiting: not saved yet, trying again`, "unsaved");
  else if (waiting) say("Saving …");
  else if (!isBad()) say("Saved");
};

const bodyOf = (op) => {
  const shared = { operation_id: op.id, sitting };
  if (op.kind === "shown") return { shown: true };
  if (op.kind === "done") return { ...shared, done: op.done };
  if (op.kind === "undo") return op.undoes ? { operation_id: op.id, undoes: op.undoes } : shared;
  return {
    ...shared,
    state: op.state,
    suggestion_visible: op.visible,
    based_on: Math.max(op.revision, seen.get(op.attribute) ?? 0),
  };
};

const send = async (op) => {
  const answer = await request(op.address, { method: op.kind === "undo" ? "POST" : "PUT", json: bodyOf(op), keepalive: true });
  return answer.json();
};

// How many actions on each image the server has answered: a page that was asked for before the last of
// them may show what was before it.
const settled = new Map();
export const settledOf = (image) => settled.get(String(image)) ?? 0;

const settle = (op, body, failed) => {
  const image = String(body.image_id ?? op.image);
  settled.set(image, settledOf(image) + 1);
  if (!failed) answers.saved(op, body);
  else if (failed.status === 412) answers.conflicting(op, failed.body);
  else answers.refused(op, failed);
};

const pump = async () => {
  if (sending) return;
  sending = true;
  clearTimeout(retryTimer);
  while (queue.length) {
    const op = queue[0];
    let body = {};
    let failed = null;
    try {
      body = await send(op);
    } catch (error) {
      failed = error;
    }
    if (failed && failed.isPassing !== false) {
      sayLater(failed);
      break;
    }
    failures = 0;
    queue.splice(queue.indexOf(op), 1);
    settle(op, body, failed);
    keep(queue);
    sayState();
  }
  sending = false;
};

const sayLater = (failed) => {
  const wait = failed.wait ?? RETRY_SECONDS[Math.min(failures, RETRY_SECONDS.length - 1)];
  failures += 1;
  sayState();
  if (failed.isSignedOut) {
    say(`Signed out: ${queue.length} waiting, not saved yet. Sign in in another tab; they are kept in this browser.`, "unsaved");
  }
  for (const op of queue) if (op.kind === "save" && op.image === imageHere()) rowOf(op.key, op.polarity)?.setAttribute("data-unsaved", "");
  retryTimer = setTimeout(pump, wait * 1000);
};

export const enqueue = (op) => {
  op.id = newId();
  op.image = op.image ?? imageHere();
  queue.push(op);
  keep(queue);
  sayState();
  pump();
  return op;
};

// Takes every waiting action on an attribute out, and returns what they were.
export const dropAll = (attribute) => {
  const dropped = laterOps(attribute);
  for (const op of dropped) queue.splice(queue.indexOf(op), 1);
  keep(queue);
  return dropped;
};

// Sends what was left unsent in this browser, by this tab first.
export const resume = async () => {
  const known = new Set(queue.map((op) => op.id));
  if (queue.length) pump();
  const taken = await takeOver();
  queue.push(...taken.filter((op) => !known.has(op.id)));
  keep(queue);
  if (taken.length) pump();
  return taken.length > 0;
};

guard(() => queue.length > 0);
addEventListener("online", pump);
addEventListener("pageshow", () => here() && find("#saving") && pump());
