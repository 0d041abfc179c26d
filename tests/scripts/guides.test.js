import assert from "node:assert/strict";
import test from "node:test";

import { guideAfter, linesOf } from "../../app/static/pages/guides.js";

const SIZE = { width: 300, height: 90 };

test("the kinds follow each other, and nothing follows the last", () => {
  const seen = [guideAfter(null)];
  while (seen.at(-1) !== null) seen.push(guideAfter(seen.at(-1)));
  assert.deepEqual(seen, ["Thirds", "Golden section", "Diagonals", null]);
});

test("thirds divide both sides in three", () => {
  assert.deepEqual(linesOf("Thirds", SIZE), [
    [100, 0, 100, 90],
    [0, 30, 300, 30],
    [200, 0, 200, 90],
    [0, 60, 300, 60],
  ]);
});

test("the golden section leaves parts in the ratio of the whole to the larger one", () => {
  const [[near], , [far]] = linesOf("Golden section", SIZE);
  assert.ok(Math.abs(far / (300 - far) - 300 / far) < 1e-9);
  assert.ok(Math.abs(near + far - 300) < 1e-9);
});

test("diagonals go from corner to corner and meet in the middle", () => {
  const lines = linesOf("Diagonals", SIZE);
  assert.deepEqual(lines.slice(0, 2), [
    [0, 0, 300, 90],
    [0, 90, 300, 0],
  ]);
  assert.ok(lines.every(([x1, y1, x2, y2]) => (x1 + x2) / 2 === 150 && (y1 + y2) / 2 === 45));
});

test("nothing, and what an earlier version kept, has no lines", () => {
  assert.deepEqual(linesOf(null, SIZE), []);
  assert.deepEqual(linesOf("spiral", SIZE), []);
});
