import assert from "node:assert/strict";
import test from "node:test";

import { inRows, nearest } from "../../app/static/pages/rows.js";

const GAP = 12;

// Pictures that have one height stand in one row.
const rowsOf = (sizes) => {
  const rows = [];
  for (const size of sizes) {
    if (rows.at(-1)?.[0].height === size.height) rows.at(-1).push(size);
    else rows.push([size]);
  }
  return rows;
};
// As shown: what is narrower gets the width of its caption.
const widthOf = (row) => row.reduce((sum, { width }) => sum + Math.max(width, 120), 0) + GAP * (row.length - 1);

test("every row but the last fills the room, and no picture is bent", () => {
  const ratios = Array.from({ length: 40 }, (_, at) => 0.66 + ((at * 37) % 100) / 80);
  for (const room of [360, 800, 1240, 2500]) {
    const sizes = inRows(ratios, room, GAP);
    assert.equal(sizes.length, ratios.length);
    sizes.forEach(({ width, height }, at) => assert.ok(Math.abs(width / height - Math.min(ratios[at], room / 188)) < 1e-9));
    for (const row of rowsOf(sizes).slice(0, -1)) {
      assert.ok(Math.abs(widthOf(row) - (room - 1)) < 1e-6, `${room}: a row of ${widthOf(row)}`);
      assert.ok(row[0].height <= 188 * 1.12);
    }
  }
});

test("a sliver keeps room for its caption, and does not make its row burst", () => {
  const room = 1240;
  const [row] = rowsOf(inRows([1.5, 1.5, 0.1, 1.5, 1.5, 1.5], room, GAP));
  assert.ok(widthOf(row) <= room, String(widthOf(row)));
});

test("a panorama that is wider than the room fits into it", () => {
  const [size] = inRows([40, 1, 1], 800, GAP);
  assert.ok(size.width <= 800);
});

test("nothing is in no row", () => assert.deepEqual(inRows([], 800, GAP), []));

test("up and down lead to the nearest picture of the next row", () => {
  const boxes = [
    { x: 100, top: 0 }, { x: 300, top: 0 }, { x: 500, top: 0 },
    { x: 150, top: 200 }, { x: 450, top: 203 },
    { x: 300, top: 400 },
  ];
  assert.equal(nearest(boxes, 0, 1), 3);
  assert.equal(nearest(boxes, 2, 1), 4);
  assert.equal(nearest(boxes, 3, 1), 5);
  assert.equal(nearest(boxes, 5, -1), 4);
  assert.equal(nearest(boxes, 0, -1), null);
  assert.equal(nearest(boxes, 5, 1), null);
});
