import assert from "node:assert/strict";
import test from "node:test";

import { landing, pull } from "../../app/static/pages/criteria_places.js";

// What is dragged over what, how far down in that line, and where it lands.
const DRAGGED = [
  ["a pair on the upper half of a pair", { kind: "pair", over: "pair", share: 0.2 }, "before"],
  ["a pair on the lower half of a pair", { kind: "pair", over: "pair", share: 0.8 }, "after"],
  ["a pair on a dimension, anywhere", { kind: "pair", over: "dimension", share: 0.05 }, "into"],
  ["a dimension on the upper edge of another", { kind: "dimension", over: "dimension", share: 0.1 }, "before"],
  ["a dimension on the middle of another", { kind: "dimension", over: "dimension", share: 0.5 }, "into"],
  ["a dimension on the lower edge of a closed one", { kind: "dimension", over: "dimension", share: 0.9, isOpen: false }, "after"],
  // After an open one would be below all that is shown of it.
  ["a dimension on the lower edge of an open one", { kind: "dimension", over: "dimension", share: 0.9, isOpen: true }, "into"],
  ["a dimension on a pair", { kind: "dimension", over: "pair", share: 0.9 }, "beside"],
];

for (const [name, where, lands] of DRAGGED) {
  test(`where it lands: ${name}`, () => assert.equal(landing(where), lands));
}

test("near an edge the tree scrolls, the nearer the faster, and elsewhere it stands", () => {
  assert.equal(pull(300, 100, 600), 0);
  assert.ok(pull(101, 100, 600) < pull(130, 100, 600));
  assert.ok(pull(130, 100, 600) < 0);
  assert.ok(pull(590, 100, 600) > 0);
  assert.equal(pull(5000, 100, 600), pull(600, 100, 600));
});
