import assert from "node:assert/strict";
import test from "node:test";

import { makeLook } from "../../app/static/pages/looking.js";

// A server that answers when the test says so.
const makeServer = () => {
  const asked = [];
  const ask = (address) =>
    new Promise((resolve, reject) => asked.push({ address, answer: () => resolve([address]), fail: () => reject(new Error("away")) }));
  return { asked, ask };
};

const fault = (promise) => promise.then(() => null, (error) => error.message);

test("what was typed last is answered, whatever comes first", async () => {
  const { asked, ask } = makeServer();
  const look = makeLook(ask);
  const [first, second] = [look("li"), look("light")];
  asked[1].answer();
  asked[0].answer();
  assert.equal(await first, null);
  assert.deepEqual(await second, ["light"]);
});

test("only the last question may fail", async () => {
  const { asked, ask } = makeServer();
  const look = makeLook(ask);
  const [first, second] = [look("li"), look("light")];
  asked[0].fail();
  asked[1].fail();
  assert.equal(await first, null);
  assert.equal(await fault(second), "away");
});

test("what is not wanted any more finds nothing", async () => {
  const { asked, ask } = makeServer();
  const look = makeLook(ask);
  const first = look("li");
  look.forget();
  asked[0].answer();
  assert.equal(await first, null);
});

test("the same words are asked for once where answers are kept, and again where they failed", async () => {
  const { asked, ask } = makeServer();
  const look = makeLook(ask, { keep: true });
  const failing = look("light");
  asked[0].fail();
  assert.equal(await fault(failing), "away");
  const found = look("light");
  asked[1].answer();
  await found;
  assert.deepEqual(await look("light"), ["light"]);
  assert.equal(asked.length, 2);

  const forgetful = makeLook(ask);
  const once = forgetful("light");
  asked[2].answer();
  await once;
  forgetful("light");
  assert.equal(asked.length, 4);
});

test("a long day of searching keeps the newest answers only", async () => {
  let asked = 0;
  const look = makeLook(async (address) => {
    asked += 1;
    return [address];
  }, { keep: true });
  for (let number = 0; number < 250; number += 1) await look(String(number));
  await look("249");
  assert.equal(asked, 250);
  await look("0");
  assert.equal(asked, 251);
});
