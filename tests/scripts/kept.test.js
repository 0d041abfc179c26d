import assert from "node:assert/strict";
import test from "node:test";

import { inBrowser, isOn, switchTo } from "../../app/static/pages/kept.js";
import { makeStorage, within } from "./storage.js";

test("what is kept is found again, by name", async () => {
  await within({ localStorage: { value: makeStorage() } }, () => {
    assert.equal(inBrowser.read("list/1"), null);
    inBrowser.write("list/1", [{ a: 1 }]);
    inBrowser.write("other", 2);
    assert.deepEqual(inBrowser.read("list/1"), [{ a: 1 }]);
    assert.deepEqual(inBrowser.names("list/"), ["list/1"]);
    inBrowser.remove("list/1");
    assert.deepEqual(inBrowser.names("list/"), []);
  });
});

test("what someone else wrote there is not found", async () => {
  const storage = makeStorage();
  storage.setItem("list", "{half");
  await within({ localStorage: { value: storage } }, () => assert.equal(inBrowser.read("list"), null));
});

test("choices hold until they are switched off", async () => {
  await within({ localStorage: { value: makeStorage() } }, () => {
    assert.ok(isOn("keys"));
    switchTo("keys", false);
    assert.ok(!isOn("keys"));
    switchTo("keys", true);
    assert.ok(isOn("keys"));
  });
});

test("a browser that forbids storage breaks nothing", async () => {
  const forbidden = {
    get: () => {
      throw new Error("SecurityError");
    },
  };
  await within({ localStorage: forbidden, sessionStorage: forbidden }, () => {
    inBrowser.write("list", [1]);
    inBrowser.remove("list");
    assert.equal(inBrowser.read("list"), null);
    assert.deepEqual(inBrowser.names("l"), []);
    switchTo("keys", false);
    assert.ok(isOn("keys"));
  });
});
