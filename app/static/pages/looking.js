// Looking for words while they are typed: of several answers only that to what was typed last counts.

const MOST_KEPT = 200;

// `ask(address)` resolves to the items found there. With `keep` answers are kept while the page is open.
//
// The result looks up an address: it resolves to the items, or to null where something else has been asked
// meanwhile; it rejects where the last question could not be answered.
export const makeLook = (ask, { keep = false } = {}) => {
  const kept = new Map(); // address -> promise of what it answered
  let asked = 0;

  const answerOf = (address) => {
    if (kept.has(address)) return kept.get(address);
    const answer = ask(address);
    if (keep) {
      kept.set(address, answer);
      answer.catch(() => kept.delete(address));
      if (kept.size > MOST_KEPT) kept.delete(kept.keys().next().value);
    }
    return answer;
  };

  const look = async (address) => {
    asked += 1;
    const mine = asked;
    try {
      const items = await answerOf(address);
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
