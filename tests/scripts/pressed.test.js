import assert from "node:assert/strict";
import test from "node:test";

import { isComposing, isHeld, meant } from "../../app/static/pages/pressed.js";

// What is pressed, on which keyboard, and the keys that may be meant, the likeliest first.
const PRESSED = [
  ["Latin", { key: "z", code: "KeyZ" }, ["z"]],
  ["with Caps Lock", { key: "Z", code: "KeyZ" }, ["z"]],
  ["QWERTZ has its z elsewhere", { key: "z", code: "KeyY" }, ["z"]],
  ["Dvorak's semicolon stands on KeyZ", { key: ";", code: "KeyZ" }, [";"]],
  ["Latin with an accent", { key: "ž", code: "KeyZ" }, ["ž"]],
  ["Cyrillic", { key: "я", code: "KeyZ" }, ["z"]],
  ["Greek", { key: "ζ", code: "KeyZ" }, ["z"]],
  ["Hebrew", { key: "ז", code: "KeyZ" }, ["z"]],
  ["Arabic, two letters on one key", { key: "لا", code: "KeyB" }, ["b"]],
  ["Korean", { key: "ㅋ", code: "KeyZ" }, ["z"]],
  ["Cyrillic, where a bracket is printed", { key: "х", code: "BracketLeft" }, ["["]],
  ["Cyrillic, with Shift where a slash is printed", { key: "٫", code: "Slash", shiftKey: true }, ["?"]],
  ["Cyrillic writes a full stop where a slash is printed", { key: ".", code: "Slash" }, [".", "/"]],
  ["and a comma with Shift", { key: ",", code: "Slash", shiftKey: true }, [",", "?"]],
  ["a Latin full stop", { key: ".", code: "Period" }, ["."]],
  ["full width", { key: "ｚ", code: "KeyX" }, ["z"]],
  ["AZERTY writes & where 1 is printed", { key: "&", code: "Digit1" }, ["&", "1"]],
  ["AZERTY with Shift", { key: "1", code: "Digit1", shiftKey: true }, ["1"]],
  ["Arabic digits", { key: "١", code: "Digit1" }, ["1"]],
  ["a named key", { key: "ArrowDown", code: "ArrowDown" }, ["ArrowDown"]],
  ["Enter of the number block", { key: "Enter", code: "NumpadEnter" }, ["Enter"]],
  ["an arrow that moves things", { key: "ArrowUp", code: "ArrowUp", altKey: true, shiftKey: true }, ["Alt+Shift+ArrowUp"]],
  ["a dead key", { key: "Dead", code: "BracketLeft" }, []],
  ["an input method's key", { key: "Process", code: "KeyZ" }, []],
  ["what a password manager sends", { code: "KeyZ" }, []],
];

for (const [name, event, keys] of PRESSED) {
  test(`the key that was meant: ${name}`, () => assert.deepEqual(meant(event), keys));
}

test("what an input method takes is not for the page, nor the Enter that ends a word", () => {
  assert.ok(isComposing({ key: "a", isComposing: true }));
  assert.ok(isComposing({ key: "Enter", keyCode: 229 }));
  assert.ok(isComposing({ key: "Enter", timeStamp: 1010 }, 1000));
  assert.ok(!isComposing({ key: "Enter", timeStamp: 1100 }, 1000));
  assert.ok(!isComposing({ key: "y", timeStamp: 1010 }, 1000));
  assert.ok(!isComposing({ key: "Enter", timeStamp: 5 }));
});

test("what is held with Ctrl, Alt, AltGr or Meta is the browser's", () => {
  for (const name of ["ctrlKey", "metaKey", "altKey"]) assert.ok(isHeld({ [name]: true }), name);
  assert.ok(isHeld({ getModifierState: (name) => name === "AltGraph" }));
  assert.ok(!isHeld({ shiftKey: true, getModifierState: () => false }));
});
