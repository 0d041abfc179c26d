// Asks the server what words find. It alone folds and ranks, so that every search finds the same, in the
// same order.

import { makeLook } from "./looking.js";
import { request } from "./requests.js";

const ask = async (address) => (await (await request(address, { headers: { Accept: "application/json" } })).json()).items;

// One place that people type into. `look(from, words)` resolves to the items that `from` finds, best
// first; otherwise as looking.js says.
export const makeSearch = (options) => {
  const lookUp = makeLook(ask, options);
  const look = (from, words) => {
    const address = new URL(from, location.href);
    address.searchParams.set("q", words);
    return lookUp(address.href);
  };
  look.forget = lookUp.forget;
  return look;
};
