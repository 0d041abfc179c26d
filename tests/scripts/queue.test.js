import assert from "node:assert/strict";
import test from "node:test";

import { makeQueue } from "../../app/static/pages/queue.js";

class Failed extends Error {
  constructor(status, { body = {}, wait = null } = {}) {
    super(`answer ${status}`);
    Object.assign(this, { status, body, wait });
  }

  get isPassing() {
    return [0, 401, 429, 503].includes(this.status);
  }
}

const turns = async (number = 30) => {
  for (let turn = 0; turn < number; turn += 1) await null;
};

// A page with a server that answers as `answer` says, a browser that keeps what it is told to, and a clock
// that stands still until `pass`.
const makePage = ({ answer = () => ({}), left = [], taken = [], isDouble = false, again = false } = {}) => {
  const page = { kept: left, sent: [], told: [], waits: [], due: null };
  const store = {
    left: () => left,
    keep: (ops) => {
      page.kept = ops.map(({ name }) => name);
      page.keptOps = structuredClone(ops);
    },
    takeOver: async () => ({ taken, isDouble }),
  };
  const send = async (op, basedOn) => {
    page.sent.push({ name: op.name, id: op.id, basedOn });
    const answered = await answer(op, basedOn, page.sent.length);
    if (answered instanceof Error) throw answered;
    return answered;
  };
  const hears = {
    saved: (op, body) => {
      page.told.push(`${op.name} saved`);
      if (body.revision) page.queue.know(op.about, body.revision);
    },
    stale: (op) => {
      page.told.push(`${op.name} stale`);
      return again;
    },
    refused: (op, failed) => page.told.push(`${op.name} refused ${failed.status}`),
    changed: () => {},
  };
  const later = (does, milliseconds) => {
    page.waits.push(milliseconds / 1000);
    page.due = does;
    return () => {
      page.due = null;
    };
  };
  page.queue = makeQueue({ store, send, hears, later });
  page.pass = async () => {
    const { due } = page;
    page.due = null;
    due?.();
    await turns();
  };
  return page;
};

const names = (page) => page.sent.map(({ name }) => name);

test("actions are sent one by one, in the order of the hands", async () => {
  const open = [];
  const page = makePage({ answer: () => new Promise((resolve) => open.push(resolve)) });
  await page.queue.open();
  for (const name of ["a", "b", "c"]) page.queue.add({ name, about: name });
  await turns();
  assert.deepEqual(names(page), ["a"]);
  assert.deepEqual(page.kept, ["a", "b", "c"]);
  open[0]({});
  await turns();
  assert.deepEqual(names(page), ["a", "b"]);
  assert.deepEqual(page.kept, ["b", "c"]);
  open[1]({});
  await turns();
  open[2]({});
  await turns();
  assert.deepEqual(page.told, ["a saved", "b saved", "c saved"]);
  assert.deepEqual(page.kept, []);
});

test("each action has an id of its own, and the same one each time it is sent", async () => {
  const page = makePage({ answer: (_, __, turn) => (turn === 1 ? new Failed(0) : {}) });
  await page.queue.open();
  page.queue.add({ name: "a", about: "x" });
  page.queue.add({ name: "b", about: "x" });
  await turns();
  await page.pass();
  assert.deepEqual(names(page), ["a", "a", "b"]);
  assert.equal(page.sent[0].id, page.sent[1].id);
  assert.notEqual(page.sent[1].id, page.sent[2].id);
  assert.ok(/^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/.test(page.sent[0].id));
});

test("while the server is away or one is signed out, actions wait longer and longer, and are kept", async () => {
  let status = 0;
  const page = makePage({ answer: () => (status === 200 ? {} : new Failed(status)) });
  await page.queue.open();
  page.queue.add({ name: "a", about: "x" });
  await turns();
  page.queue.add({ name: "b", about: "y" });
  await turns();
  for (let turn = 0; turn < 5; turn += 1) await page.pass();
  assert.ok(page.queue.isRetrying());
  assert.deepEqual(page.waits.slice(0, 4), [1, 2, 4, 8]);
  assert.deepEqual(page.waits.slice(-1), [15]);
  status = 401;
  await page.pass();
  assert.deepEqual(page.kept, ["a", "b"]);
  assert.deepEqual(page.told, []);
  status = 200;
  await page.pass();
  assert.deepEqual(page.told, ["a saved", "b saved"]);
  assert.ok(!page.queue.isRetrying());
});

test("a server that says when is asked then", async () => {
  const page = makePage({ answer: () => new Failed(429, { wait: 7 }) });
  await page.queue.open();
  page.queue.add({ name: "a", about: "x" });
  await turns();
  assert.deepEqual(page.waits, [7]);
});

test("a broken answer is no acknowledgement", async () => {
  const page = makePage({ answer: () => new SyntaxError("half a body") });
  await page.queue.open();
  page.queue.add({ name: "a", about: "x" });
  await turns();
  assert.deepEqual(page.kept, ["a"]);
});

test("what is refused is told and does not hold up the others", async () => {
  const page = makePage({ answer: ({ name }) => (name === "a" ? new Failed(409) : {}) });
  await page.queue.open();
  page.queue.add({ name: "a", about: "x" });
  page.queue.add({ name: "b", about: "y" });
  await turns();
  assert.deepEqual(page.told, ["a refused 409", "b saved"]);
  assert.deepEqual(page.kept, []);
});

test("an action is based on what this page knows: its own answers count", async () => {
  let revision = 10;
  const page = makePage({ answer: () => ({ revision: (revision += 1) }) });
  await page.queue.open();
  page.queue.add({ name: "a", about: "x", revision: 4 });
  page.queue.add({ name: "b", about: "x", revision: 4 });
  page.queue.add({ name: "c", about: "y", revision: 4 });
  page.queue.add({ name: "d", about: "z" });
  await turns();
  assert.deepEqual(page.sent.map(({ basedOn }) => basedOn), [4, 11, 4, 0]);
});

test("who takes over what waits bases it on what was answered before the tab was killed", async () => {
  const page = makePage({ answer: (op) => (op.name === "first" ? { revision: 8 } : new Failed(0)) });
  await page.queue.open();
  page.queue.add({ name: "first", about: "warm", revision: 6 });
  page.queue.add({ name: "second", about: "warm", revision: 6 });
  page.queue.add({ name: "other", about: "cold", revision: 6 });
  await turns();
  const next = makePage({ taken: page.keptOps });
  await next.queue.open();
  await turns();
  assert.deepEqual(next.sent.map(({ name, basedOn }) => [name, basedOn]), [["second", 8], ["other", 6]]);
});

test("what met something newer is dropped, or sent again on top of it", async () => {
  const stale = (_, basedOn) => (basedOn < 9 ? new Failed(412, { body: { revision: 9 } }) : {});
  const dropping = makePage({ answer: stale });
  await dropping.queue.open();
  dropping.queue.add({ name: "a", about: "x", revision: 4 });
  await turns();
  assert.deepEqual([dropping.told, dropping.kept], [["a stale"], []]);

  const insisting = makePage({ answer: stale, again: true });
  await insisting.queue.open();
  insisting.queue.add({ name: "a", about: "x", revision: 4 });
  insisting.queue.add({ name: "b", about: "x", revision: 4 });
  await turns();
  assert.deepEqual(insisting.told, ["a stale", "a saved", "b saved"]);
  assert.deepEqual(insisting.sent.map(({ basedOn }) => basedOn), [4, 9, 9]);
});

test("what was left behind earlier, here and in tabs that are gone, is sent first", async () => {
  const page = makePage({ left: [{ name: "left", id: "1" }], taken: [{ name: "orphan", id: "2" }] });
  page.queue.add({ name: "new", about: "x" });
  await turns();
  assert.deepEqual(names(page), []);
  assert.deepEqual(page.kept, ["left", "new"]);
  assert.ok(await page.queue.open());
  await turns();
  assert.deepEqual(names(page), ["orphan", "left", "new"]);
  assert.deepEqual(page.sent.slice(0, 2).map(({ id }) => id), ["2", "1"]);
  assert.deepEqual(page.kept, []);
});

test("what several killed tabs left is sent in the order of the hands", async () => {
  const page = makePage({ left: [{ name: "third", at: 30 }], taken: [{ name: "second", at: 20 }, { name: "first", at: 10 }] });
  page.queue.add({ name: "new", about: "x" });
  await page.queue.open();
  await turns();
  assert.deepEqual(names(page), ["first", "second", "third", "new"]);
});

test("a tab that was duplicated leaves to the first tab what that still sends", async () => {
  const page = makePage({ left: [{ name: "of the first", id: "1" }], isDouble: true });
  page.queue.add({ name: "new", about: "x" });
  await page.queue.open();
  await turns();
  assert.deepEqual(names(page), ["new"]);
});

test("what waits about one subject can be taken out", async () => {
  const page = makePage();
  for (const [name, about] of [["a", "x"], ["b", "y"], ["c", "x"]]) page.queue.add({ name, about });
  assert.deepEqual(page.queue.waiting("x").map(({ name }) => name), ["a", "c"]);
  assert.deepEqual(page.queue.drop("x").map(({ name }) => name), ["a", "c"]);
  assert.deepEqual(page.kept, ["b"]);
  assert.deepEqual(page.queue.drop().map(({ name }) => name), ["b"]);
  assert.equal(page.queue.size(), 0);
});

test("one can wait until nothing waits", async () => {
  let isAway = true;
  const page = makePage({ answer: () => (isAway ? new Failed(0) : {}) });
  await page.queue.emptied();
  await page.queue.open();
  page.queue.add({ name: "a", about: "x" });
  let isEmpty = false;
  page.queue.emptied().then(() => {
    isEmpty = true;
  });
  await turns();
  assert.ok(!isEmpty);
  isAway = false;
  await page.pass();
  assert.ok(isEmpty);
});

test("a fault in the page is heard of, and does not stop the queue for good", async () => {
  const page = makePage({ answer: (_, __, turn) => (turn === 1 ? new Failed(0) : { revision: 1 }) });
  await page.queue.open();
  page.queue.add({ name: "a", about: "x" });
  page.queue.add({ name: "b", about: "y" });
  await turns();
  const { know } = page.queue;
  page.queue.know = () => {
    throw new Error("a fault of the page");
  };
  let fault = null;
  await page.queue.pump().catch((error) => {
    fault = error.message;
  });
  assert.equal(fault, "a fault of the page");
  page.queue.know = know;
  await page.queue.pump();
  assert.deepEqual(names(page), ["a", "a", "b"]);
  assert.deepEqual(page.kept, []);
});

test("whatever breaks off, every action counts once and in order", async () => {
  let seed = 7;
  const chance = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  const counted = [];
  const count = ({ id, name }) => {
    if (!counted.some((each) => each.id === id)) counted.push({ id, name });
  };
  // Requests are lost on the way there and on the way back.
  const page = makePage({
    answer: (op) => {
      if (chance() < 0.3) return new Failed(0);
      count(op);
      return chance() < 0.3 ? new Failed(503) : {};
    },
  });
  await page.queue.open();
  const all = Array.from({ length: 60 }, (_, at) => `action ${at}`);
  for (const name of all) {
    page.queue.add({ name, about: name });
    if (chance() < 0.5) await page.pass();
  }
  for (let turn = 0; turn < 200 && page.queue.size(); turn += 1) await page.pass();
  assert.deepEqual(counted.map(({ name }) => name), all);
  assert.deepEqual(page.kept, []);
  assert.deepEqual(page.told, all.map((name) => `${name} saved`));
});
