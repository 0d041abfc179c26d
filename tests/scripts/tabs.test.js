import assert from "node:assert/strict";
import test from "node:test";

import { makeLists } from "../../app/static/pages/tabs.js";
import { makeStorage, within } from "./storage.js";

// A browser with tabs. What tabs say to one another arrives at all others, as long as they live.
const makeBrowser = () => {
  const kept = makeStorage();
  const lines = new Set();
  const openLine = () => {
    const line = {
      hears: [],
      addEventListener: (_, hear) => line.hears.push(hear),
      postMessage: (data) => {
        for (const other of lines) if (other !== line) other.hears.forEach((hear) => hear({ data }));
      },
    };
    lines.add(line);
    return line;
  };
  // A tab has what it kept before it was loaded again, or what the tab had that it is a double of.
  const openTab = async (owner = "7", ofTab = {}) => {
    const own = makeStorage(ofTab);
    const line = openLine();
    const inside = (does) => within({ localStorage: { value: kept }, sessionStorage: { value: own } }, does);
    const lists = await inside(() => makeLists(owner, line));
    return {
      own,
      left: () => inside(() => lists.left()),
      keep: (ops) => inside(() => lists.keep(ops)),
      takeOver: () => inside(() => lists.takeOver()),
      kill: () => lines.delete(line),
    };
  };
  return { kept, openTab, unsent: () => Object.keys(kept).filter((name) => name.startsWith("morelli-unsent/")) };
};

test("a tab that is loaded again finds what it had not sent", async () => {
  const { openTab } = makeBrowser();
  const tab = await openTab();
  await tab.keep([{ id: 1 }]);
  tab.kill();
  const again = await openTab("7", tab.own);
  assert.deepEqual(await again.left(), [{ id: 1 }]);
  assert.deepEqual(await again.takeOver(), { taken: [], isDouble: false });
});

test("what a tab that is gone left behind goes over to the next, once", async () => {
  const { openTab, unsent, kept } = makeBrowser();
  const gone = await openTab();
  await gone.keep([{ id: 1 }, { id: 2 }]);
  gone.kill();
  const next = await openTab();
  await next.keep([{ id: 3 }]);
  assert.deepEqual(await next.takeOver(), { taken: [{ id: 1 }, { id: 2 }], isDouble: false });
  // It is kept under the new name before it is gone from the old one, and before what is new.
  assert.equal(unsent().length, 1);
  assert.deepEqual(JSON.parse(kept[unsent()[0]]), [{ id: 1 }, { id: 2 }, { id: 3 }]);
  assert.deepEqual((await (await openTab()).takeOver()).taken, []);
});

test("what a tab that lives has still to send is its own", async () => {
  const { openTab, unsent } = makeBrowser();
  const alive = await openTab();
  await alive.keep([{ id: 1 }]);
  assert.deepEqual((await (await openTab()).takeOver()).taken, []);
  assert.equal(unsent().length, 1);
});

test("a tab that was duplicated gets a number of its own", async () => {
  const { openTab, unsent } = makeBrowser();
  const first = await openTab();
  await first.keep([{ id: 1 }]);
  const double = await openTab("7", first.own);
  assert.deepEqual(await double.takeOver(), { taken: [], isDouble: true });
  await double.keep([{ id: 2 }]);
  assert.equal(unsent().length, 2);
});

test("what another person left behind in this browser is theirs", async () => {
  const { openTab, unsent } = makeBrowser();
  const other = await openTab("8");
  await other.keep([{ id: 1 }]);
  other.kill();
  assert.deepEqual((await (await openTab("7")).takeOver()).taken, []);
  assert.equal(unsent().length, 1);
});

test("nothing is kept of a list that is empty", async () => {
  const { openTab, unsent } = makeBrowser();
  const tab = await openTab();
  await tab.keep([{ id: 1 }]);
  await tab.keep([]);
  assert.deepEqual(unsent(), []);
});

test("a browser that forbids storage leaves nothing behind, and breaks nothing", async () => {
  const forbidden = {
    get: () => {
      throw new Error("SecurityError");
    },
  };
  await within({ localStorage: forbidden, sessionStorage: forbidden }, async () => {
    const lists = makeLists("7", null);
    lists.keep([{ id: 1 }]);
    assert.deepEqual(lists.left(), []);
    assert.deepEqual(await lists.takeOver(), { taken: [], isDouble: false });
  });
});
