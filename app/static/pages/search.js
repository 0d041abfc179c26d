// Asks the server what words find. It alone folds and ranks, so that every search finds the same, in the
// same order; here nothing is compared. Answers are kept while the page is open.

import { request } from "./requests.js";

const MOST_KEPT = 200;
const kept = new Map(); // address -> promise of what it answered

const ask = async (address) => (await request(address, { headers: { Accept: "application/json" } })).json();

// One place that people type into. `look(from, words)` resolves to the items that `from` finds, best
// first, or to null where something else has been typed meanwhile. It rejects where the server is away.
export const makeSearch = ({ keep = false } = {}) => {
  let asked = 0;
  const look = async (from, words) => {
    asked += 1;
    const mine = asked;
    const address = new URL(from, location.href);
    address.searchParams.set("q", words);
    const known = keep && kept.has(address.href);
    const answer = known ? kept.get(address.href) : ask(address.href);
    if (keep && !known) {
      kept.set(address.href, answer);
      answer.catch(() => kept.delete(address.href));
      if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
    }
    try {
      const { items } = await answer;
      return mine === asked ? items : null;
    } catch (error) {
      if (mine === asked) throw error;
      return null;
    }
  };
  // What is under way is not wanted any more: it resolves to null.
  look.forget = () => {
    asked += 1;
  };
  return look;
};
