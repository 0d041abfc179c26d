import assert from "node:assert/strict";
import test from "node:test";

import { makeSeries } from "../../app/static/pages/series.js";

// An answer of the server: buckets of one value, each [first, last, mean, low, high].
const answer = (buckets, { name = "loss", ...more } = {}) => {
  const column = (at) => buckets.map((each) => each[at]);
  const group = { first: column(0), last: column(1), mean: { [name]: column(2) }, low: { [name]: column(3) }, high: { [name]: column(4) } };
  return { groups: buckets.length ? [group] : [], restart: false, thinned: false, step: buckets.at(-1)?.[1] ?? null, time: null, ...more };
};
const steps = (from, values) => values.map((value, at) => [from + at, from + at, value, value, value]);

// A run whose server gives these answers, one after the other, and what it was asked.
const makeRun = (...answers) => {
  const asked = [];
  const series = makeSeries("/run", async (address) => {
    asked.push(address);
    return answers.shift();
  });
  return { asked, series };
};

test("a run is read as a whole, and then only what is new", async () => {
  const { asked, series } = makeRun(answer(steps(1, [5, 4])), answer(steps(3, [3])), answer([]));
  assert.equal(series.line("loss", 0), null);
  assert.ok(await series.bring());
  assert.ok(await series.bring());
  assert.ok(!(await series.bring()));
  assert.deepEqual(asked, ["/run", "/run?after=2", "/run?after=3"]);
  assert.deepEqual(series.line("loss", 0), [[1, 2, 3], [5, 4, 3]]);
  assert.deepEqual(series.extent(), [1, 3]);
  assert.equal(series.newest("loss"), 3);
});

test("a run that went back to an earlier step is read anew", async () => {
  const { series } = makeRun(answer(steps(1, [5, 4, 9])), answer(steps(1, [5, 4]), { restart: true }));
  await series.bring();
  await series.bring();
  assert.deepEqual(series.line("loss", 0), [[1, 2], [5, 4]]);
});

test("two who ask at once bring the same steps once", async () => {
  const { asked, series } = makeRun(answer(steps(1, [5])));
  await Promise.all([series.bring(), series.bring()]);
  assert.deepEqual([asked.length, series.line("loss", 0)], [1, [[1], [5]]]);
});

test("steps at which a value was not logged are no points of it", async () => {
  const { series } = makeRun(answer([[1, 1, 2, 2, 2], [2, 2, null, null, null], [3, 3, 4, 4, 4]], { name: "grad" }));
  await series.bring();
  assert.deepEqual(series.line("grad", 0), [[1, 3], [2, 4]]);
  assert.equal(series.line("loss", 0), null);
  assert.equal(series.newest("loss"), undefined);
});

test("a thinned line goes through what stands out, in the order in which the curve moves", async () => {
  const rising = answer([[1, 10, 2, 1, 3], [11, 20, 5, 4, 60], [21, 30, 8, 7, 9]]);
  const { series } = makeRun(rising);
  await series.bring();
  assert.deepEqual(series.line("loss", 0), [[1, 10, 11, 20, 21, 30], [1, 3, 4, 60, 7, 9]]);

  const falling = makeRun(answer([[1, 10, 8, 7, 9], [11, 20, 5, 4, 6]])).series;
  await falling.bring();
  assert.deepEqual(falling.line("loss", 0), [[1, 10, 11, 20], [9, 7, 6, 4]]);
});

test("smoothing keeps a steady value, forgets by steps, and is not pulled to zero at the start", async () => {
  const { series } = makeRun(answer(steps(1, [7, 7, 7])));
  await series.bring();
  assert.deepEqual(series.line("loss", 10), [[1, 2, 3], [7, 7, 7]]);

  const jump = makeRun(answer([[1, 1, 0, 0, 0], [101, 101, 1, 1, 1]])).series;
  await jump.bring();
  const [, values] = jump.line("loss", 10);
  assert.equal(values[0], 0);
  assert.ok(values[1] > 0.999, String(values[1]));
});

test("what is looked at closely comes finer, and the whole comes back", async () => {
  const whole = answer([[1, 10, 1, 1, 1], [11, 20, 2, 2, 2], [21, 30, 3, 3, 3]], { thinned: true });
  const part = answer(steps(11, [20, 21, 22, 23, 24, 25, 26, 27, 28, 29]));
  const { asked, series } = makeRun(whole, part);
  await series.bring();
  assert.ok(await series.look(13, 17));
  assert.deepEqual(asked, ["/run", "/run?after=10&until=19"]);
  // Within what was asked for, a smaller view needs no question.
  assert.ok(!(await series.look(14, 16)));
  const [at] = series.line("loss", 0);
  assert.deepEqual(at, [1, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21]);
  series.leave();
  assert.deepEqual(series.line("loss", 0)[0], [1, 11, 21]);
});

test("a value that never was another one differs from nothing", async () => {
  const { series } = makeRun(answer([[1, 10, 0.5, 0.5, 0.5], [11, 20, 0.5, 0.5, 0.5]]));
  await series.bring();
  assert.ok(!series.differs("loss", 0.5));
  assert.ok(series.differs("loss", 0));
  assert.ok(!series.differs("nothing", 0));
});
