import assert from "node:assert/strict";
import test from "node:test";

import { LARGEST, bounded, fittedTo, stepAbove, stepBelow, wholeWithin } from "../../app/static/pages/scales.js";

test("a picture is fitted by the side that has less room, in pixels of the screen", () => {
  assert.equal(fittedTo({ width: 800, height: 600 }, { width: 1600, height: 600 }), 0.5);
  assert.equal(fittedTo({ width: 800, height: 600 }, { width: 400, height: 1200 }), 0.5);
  assert.equal(fittedTo({ width: 800, height: 600 }, { width: 1600, height: 600 }, 2), 1);
});

test("closer goes step by step, and never to a scale that looks the same", () => {
  assert.equal(stepAbove(0.3), 1);
  assert.equal(stepAbove(0.99), 2);
  assert.equal(stepAbove(1), 2);
  assert.equal(stepAbove(5.5), 8);
  assert.equal(stepAbove(16), LARGEST);
});

test("wider goes back the same steps, and then fits", () => {
  assert.equal(stepBelow(16), 8);
  assert.equal(stepBelow(2.01), 1);
  assert.equal(stepBelow(1), null);
  assert.equal(stepBelow(0.4), null);
});

test("a picture is never shown smaller than fitted", () => {
  assert.equal(bounded(1, 0.4), 1);
  assert.equal(bounded(0.2, 0.4), null);
  assert.equal(bounded(null, 0.4), null);
  assert.equal(bounded(100, 0.4), LARGEST);
  // A thumbnail that is enlarged already to fill the room.
  assert.equal(bounded(stepAbove(6), 6), 8);
  assert.equal(bounded(stepAbove(20), 20), null);
});

test("all steps from fitted lead up, and all steps back lead down to fitted", () => {
  for (const fitted of [0.05, 0.5, 0.985, 1, 1.015, 3, 15.9, 16, 40]) {
    let scale = fitted;
    for (let next = bounded(stepAbove(scale), fitted); next !== null && next !== scale; next = bounded(stepAbove(scale), fitted)) {
      assert.ok(next > scale, `${fitted}: ${next} after ${scale}`);
      scale = next;
    }
    for (let turn = 0; scale !== null; turn += 1) {
      assert.ok(turn < 6, `${fitted} is never reached`);
      scale = bounded(stepBelow(scale), fitted);
    }
  }
});

test("a canvas takes whole pixels of the page and of the screen", () => {
  assert.equal(wholeWithin(857.61), 857);
  assert.equal(wholeWithin(857, 2), 857);
  assert.equal(wholeWithin(857.5, 1.5), 856);
  assert.equal(wholeWithin(857, 1.25), 856);
  assert.equal(wholeWithin(10, 1.1), 10);
  assert.equal(wholeWithin(857, 1.0371), 857); // no such length: as much as there is
});
