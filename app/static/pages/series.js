// What one run logged, as the server gives it: for each value buckets of steps with their mean, lowest and
// highest number. Kept for the whole run, and finer for the part that is looked at closely.

// Steps that came after the whole was read; with more it is read again, thinned.
const MOST_APPENDED = 4000;

const emptyBuckets = () => ({ first: [], last: [], mean: [], low: [], high: [] });

const append = (to, from) => {
  for (const [name, more] of from) {
    if (!to.has(name)) to.set(name, emptyBuckets());
    const kept = to.get(name);
    for (const part of Object.keys(kept)) for (const each of more[part]) kept[part].push(each);
  }
};

// An answer as buckets by name, without those in which a value was not logged.
const bucketsOf = (answer) => {
  const found = new Map();
  for (const { first, last, mean, low, high } of answer.groups) {
    for (const [name, means] of Object.entries(mean)) {
      const kept = emptyBuckets();
      for (let at = 0; at < means.length; at += 1) {
        if (means[at] == null) continue;
        kept.first.push(first[at]);
        kept.last.push(last[at]);
        kept.mean.push(means[at]);
        kept.low.push(low[name]?.[at] ?? means[at]);
        kept.high.push(high[name]?.[at] ?? means[at]);
      }
      found.set(name, kept);
    }
  }
  return found;
};

const isOutside = (buckets, at, part) => !part || buckets.last[at] < part.from || buckets.first[at] > part.to;

// The buckets of the whole run, with those of a part in their place.
const withPart = (whole, part, name) => {
  const finer = part?.buckets.get(name);
  if (!finer) return whole;
  const kept = emptyBuckets();
  const take = (from, is) => {
    for (let at = 0; at < from.first.length; at += 1) {
      if (is(at)) for (const key of Object.keys(kept)) kept[key].push(from[key][at]);
    }
  };
  take(whole, (at) => whole.first[at] < part.from && isOutside(whole, at, part));
  take(finer, () => true);
  take(whole, (at) => whole.first[at] >= part.from && isOutside(whole, at, part));
  return kept;
};

// Points of a line through the lowest and the highest value of each bucket, so that what stands out stays.
// The lower one comes first where the curve rises, so that a smooth curve stays smooth.
const through = (buckets) => {
  const steps = [];
  const values = [];
  const { first, last, mean, low, high } = buckets;
  for (let at = 0; at < first.length; at += 1) {
    const rises = (mean[at + 1] ?? mean[at]) >= (mean[at - 1] ?? mean[at]);
    steps.push(first[at]);
    values.push(rises ? low[at] : high[at]);
    if (last[at] === first[at] || low[at] === high[at]) continue;
    steps.push(last[at]);
    values.push(rises ? high[at] : low[at]);
  }
  return [steps, values];
};

// An exponential mean that forgets over `span` steps, so that it is the same however thinned the run is; not
// pulled to zero at the start.
const smoothed = (buckets, span) => {
  let sum = 0;
  let mass = 0;
  const values = buckets.mean.map((value, at) => {
    const kept = at ? Math.exp((buckets.last[at - 1] - buckets.last[at]) / span) : 0;
    sum = kept * sum + (1 - kept) * value;
    mass = kept * mass + (1 - kept);
    return sum / mass;
  });
  return [buckets.last, values];
};

/** The curves of a run at an address; `ask` fetches JSON. */
export const makeSeries = (address, ask) => {
  let whole = new Map();
  let part = null;
  let newest = null;
  let isThinned = false;
  let appended = 0;
  let asked = 0;
  let bringing = null;
  let lines = new Map();

  const forget = () => {
    lines = new Map();
  };

  const bringNew = async () => {
    const query = newest && appended <= MOST_APPENDED ? `?after=${newest.step}${newest.time == null ? "" : `&seen=${newest.time}`}` : "";
    const answer = await ask(address + query);
    if (!query || answer.restart) {
      [whole, isThinned, appended] = [new Map(), answer.thinned, 0];
      if (answer.restart) part = null;
    } else {
      appended += answer.groups[0]?.first.length ?? 0;
      isThinned ||= answer.thinned;
    }
    if (answer.step != null) newest = { step: answer.step, time: answer.time };
    else if (answer.restart) newest = null;
    append(whole, bucketsOf(answer));
    forget();
    return answer.groups.length > 0 || answer.restart;
  };

  // Two questions at once would bring the same steps twice.
  const bring = () => {
    bringing ??= bringNew().finally(() => {
      bringing = null;
    });
    return bringing;
  };

  // Asks for more than is shown, so that a small move needs no question.
  const look = async (from, to) => {
    if (!isThinned) return false;
    if (part && !part.isThinned && part.from <= from && part.to >= to) return false;
    const [wider, until] = [Math.max(0, Math.floor(from - (to - from) / 2)), Math.ceil(to + (to - from) / 2)];
    const number = (asked += 1);
    const answer = await ask(`${address}?after=${wider - 1}&until=${until}`);
    if (number !== asked || answer.step == null) return false;
    part = { from: wider, to: Math.min(until, answer.step), isThinned: answer.thinned, buckets: bucketsOf(answer) };
    forget();
    return true;
  };

  // The whole run is seen again, everywhere as fine.
  const leave = () => {
    asked += 1;
    if (part) forget();
    part = null;
  };

  const line = (name, span) => {
    const key = `${name} ${span}`;
    if (!lines.has(key)) {
      const buckets = whole.has(name) ? withPart(whole.get(name), part, name) : null;
      lines.set(key, !buckets ? null : span ? smoothed(buckets, span) : through(buckets));
    }
    return lines.get(key);
  };

  return {
    bring,
    look,
    leave,
    /** The points of a value's line, smoothed over some steps or through all that was logged; null where there are none. */
    line,
    /** Its newest number; undefined where it was never logged. */
    newest: (name) => whole.get(name)?.mean.at(-1),
    /** Whether it was ever another number than this one. */
    differs: (name, from) => whole.get(name)?.low.some((low, at) => low !== from || whole.get(name).high[at] !== from) ?? false,
    /** The first and the last step, or null. */
    extent: () => {
      const all = [...whole.values()];
      return all.length ? [Math.min(...all.map((each) => each.first[0])), Math.max(...all.map((each) => each.last.at(-1)))] : null;
    },
  };
};
