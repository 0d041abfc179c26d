// Stands in for node:assert/strict in a browser.

const shown = (value) => JSON.stringify(value, (_, each) => (each === undefined ? "undefined" : each)) ?? String(value);

// Objects whose keys come in another order are equal.
const sorted = (value) => {
  if (Array.isArray(value)) return value.map(sorted);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.keys(value).sort().map((key) => [key, sorted(value[key])]));
};

const fail = (words) => {
  throw new Error(words);
};

export default {
  ok: (value, words = "not true") => value || fail(words),
  equal: (is, wanted, words = "") => Object.is(is, wanted) || fail(`${words} is ${shown(is)}, not ${shown(wanted)}`),
  notEqual: (is, other, words = "") => !Object.is(is, other) || fail(`${words} is ${shown(is)}`),
  deepEqual: (is, wanted, words = "") =>
    shown(sorted(is)) === shown(sorted(wanted)) || fail(`${words} is ${shown(is)}, not ${shown(wanted)}`),
};
