import assert from "node:assert/strict";
import test from "node:test";

import { inBrowser, isOn, switchTo } from "../../app/static/pages/kept.js";

const NAMES = ["localStorage", "sessionStorage"];

// A browser whose storage is as given, for the time of one test.
const within = (storage, does) => {
  const before = NAMES.map((name) => Object.getOwnPropertyDescriptor(globalThis, name));
  for (const name of NAMES) Object.defineProperty(globalThis, name, { ...storage, configurable: true });
  try {
    does();
  } finally {
    NAMES.forEach((name, at) => {
      if (before[at]) Object.defineProperty(globalThis, name, before[at]);
      else delete globalThis[name];
    });
  }
};

const makeStorage = () =>
  Object.create({
    getItem(name) {
      return Object.hasOwn(this, name) ? this[name] : null;
    },
    setItem(name, value) {
      this[name] = String(value);
    },
    removeItem(name) {
      delete this[name];
    },
  });

test("what is kept is found again, by name", () => {
  within({ value: makeStorage() }, () => {
    assert.equal(inBrowser.read("list/1"), null);
    inBrowser.write("list/1", [{ a: 1 }]);
    inBrowser.write("other", 2);
    assert.deepEqual(inBrowser.read("list/1"), [{ a: 1 }]);
    assert.deepEqual(inBrowser.names("list/"), ["list/1"]);
    inBrowser.remove("list/1");
    assert.deepEqual(inBrowser.names("list/"), []);
  });
});

test("what someone else wrote there is not found", () => {
  const storage = makeStorage();
  storage.setItem("list", "{half");
  within({ value: storage }, () => assert.equal(inBrowser.read("list"), null));
});

test("choices hold until they are switched off", () => {
  within({ value: makeStorage() }, () => {
    assert.ok(isOn("keys"));
    switchTo("keys", false);
    assert.ok(!isOn("keys"));
    switchTo("keys", true);
    assert.ok(isOn("keys"));
  });
});

test("a browser that forbids storage breaks nothing", () => {
  const forbidden = {
    get: () => {
      throw new Error("SecurityError");
    },
  };
  within(forbidden, () => {
    inBrowser.write("list", [1]);
    inBrowser.remove("list");
    assert.equal(inBrowser.read("list"), null);
    assert.deepEqual(inBrowser.names("l"), []);
    switchTo("keys", false);
    assert.ok(isOn("keys"));
  });
});
