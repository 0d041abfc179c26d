// Actions in the order of the hands, until the server has acknowledged them. They are sent one by one, again
// with the same id where no answer came, and kept meanwhile, so that nothing is lost or doubled.

import { newId } from "./new_id.js";

const RETRY_SECONDS = [1, 2, 4, 8, 15];

const afterwards = (does, milliseconds) => {
  const timer = setTimeout(does, milliseconds);
  return () => clearTimeout(timer);
};

// An action has an `id`, what it is `about`, and the `revision` of that which the person saw.
//
// `store` keeps the actions: see tabs.js. `send(op, basedOn)` resolves to what the server says, or rejects with
// Failed. `hears` is told what becomes of an action: saved(op, body), refused(op, failed), and stale(op, body) where
// something else stands by now; there true has it sent again on top of that. changed(failed) follows each turn.
export const makeQueue = ({ store, send, hears, later = afterwards }) => {
  const ops = store.left().map((op) => ({ ...op, isLeft: true }));
  const known = new Map(); // what it is about -> revision of it that this page knows
  let isOpen = false;
  let isSending = false;
  let failures = 0;
  let forgetRetry = () => {};
  let waiters = [];

  const about = (subject) => ops.filter((op) => op.about === subject);
  const rebase = (op) => Object.assign(op, { revision: Math.max(op.revision ?? 0, known.get(op.about) ?? 0) });

  // Kept with what waits: for a tab that takes it over one's own answered action is nobody else's.
  const know = (subject, revision) => {
    known.set(subject, revision);
    for (const op of about(subject)) rebase(op);
  };

  const take = (some) => {
    for (const op of some) if (ops.includes(op)) ops.splice(ops.indexOf(op), 1);
    return some;
  };

  const settle = (op, body, failed) => {
    take([op]);
    if (!failed) hears.saved(op, body);
    else if (failed.status !== 412) hears.refused(op, failed);
    else {
      know(op.about, failed.body.revision);
      if (hears.stale(op, failed.body)) ops.unshift(rebase(op));
    }
  };

  const changed = (failed = null) => {
    store.keep(ops);
    hears.changed(failed);
    if (ops.length) return;
    for (const resolve of waiters) resolve();
    waiters = [];
  };

  const tryLater = (failed) => {
    const seconds = failed.wait ?? RETRY_SECONDS[Math.min(failures, RETRY_SECONDS.length - 1)];
    failures += 1;
    forgetRetry = later(pump, seconds * 1000);
    changed(failed);
  };

  // Whether there was an answer.
  const sendFirst = async () => {
    const [op] = ops;
    let body = {};
    let failed = null;
    try {
      body = await send(op, op.revision);
    } catch (error) {
      failed = error;
    }
    if (failed && failed.isPassing !== false) {
      tryLater(failed);
      return false;
    }
    failures = 0;
    settle(op, body, failed);
    changed();
    return true;
  };

  const pump = async () => {
    if (isSending || !isOpen) return;
    isSending = true;
    forgetRetry();
    try {
      while (ops.length && (await sendFirst()));
    } finally {
      isSending = false;
    }
  };

  return {
    know,
    pump,
    size: () => ops.length,
    isRetrying: () => failures > 0,
    // All that wait, or those about one subject.
    waiting: (subject) => (subject === undefined ? [...ops] : about(subject)),
    // Resolves when nothing waits any more.
    emptied: () => (ops.length ? new Promise((resolve) => waiters.push(resolve)) : Promise.resolve()),

    add: (op) => {
      ops.push(rebase(Object.assign(op, { id: newId(), at: Date.now() })));
      changed();
      pump();
      return op;
    },
    // Takes out what waits about a subject, or everything, and returns it.
    drop: (subject) => {
      const dropped = take(subject === undefined ? [...ops] : about(subject));
      changed();
      return dropped;
    },
    // Nothing is sent before this: what was left behind earlier goes first. Whether anything was.
    open: async () => {
      const { taken, isDouble } = await store.takeOver();
      // A tab that was duplicated holds what the tab it comes from still sends.
      if (isDouble) take(ops.filter((op) => op.isLeft));
      ops.unshift(...taken.map((op) => rebase({ ...op, isLeft: true })));
      // In the order of the hands, whichever tabs they were at.
      ops.sort((one, other) => (one.at ?? 0) - (other.at ?? 0));
      isOpen = true;
      if (ops.length) changed();
      pump();
      return taken.length > 0;
    },
  };
};
