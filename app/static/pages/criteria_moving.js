// Moving lines of the criteria tree, by key and by hand alike: the server decides, then the line goes to its
// new place. Each move is one recorded change; several asked for in a row are made one after the other.

import { aboveOf, branchOf, itemOf, keyOf, kindOf, lineWith, listOf, neighboursOf, titleOf } from "./criteria_lines.js";
import { Failed, request, sayFailed } from "./requests.js";

const beside = (item, by) => {
  const all = neighboursOf(item);
  return all[all.indexOf(item) + by] ?? null;
};

const dimensionBefore = (item) => {
  if (kindOf(item) === "dimension") return beside(item, -1);
  return [...item.parentElement.querySelectorAll(":scope > li.dimension")].at(-1) ?? null;
};

const firstPair = (list) => list.querySelector(":scope > li.pair");

// What a key means for a line: the place `{ parent, before }` in the tree, or why there is none.
const PLACES = {
  up: (item) => {
    const other = beside(item, -1);
    return other ? { parent: aboveOf(item), before: other } : "It is the first of its neighbours.";
  },
  down: (item) => {
    const other = beside(item, 1);
    return other ? { parent: aboveOf(item), before: beside(other, 1) } : "It is the last of its neighbours.";
  },
  in: (item) => {
    const parent = dimensionBefore(item);
    return parent ? { parent, before: null } : "There is no dimension before it to go into.";
  },
  out: (item) => {
    const left = aboveOf(item);
    if (!left) return "It stands at the top already.";
    const parent = aboveOf(left);
    if (kindOf(item) === "dimension") return { parent, before: beside(left, 1) };
    return parent ? { parent, before: firstPair(listOf(parent)) } : "An attribute pair stands below a dimension.";
  },
};

const relevel = (item) => {
  for (const each of [item, ...item.querySelectorAll("li")].filter((one) => kindOf(one) === "dimension")) {
    let level = 1;
    for (let above = aboveOf(each); above; above = aboveOf(above)) level += 1;
    each.className = each.className.replace(/\blevel-\d+/, `level-${level}`);
  }
};

const put = (tree, item, { parent, before }) => {
  const list = parent ? listOf(parent) : tree.querySelector(":scope > ul");
  list.insertBefore(item, before ?? (kindOf(item) === "dimension" ? firstPair(list) : null));
  if (parent) branchOf(parent).open = true;
  relevel(item);
};

const whereItIs = (item) => {
  const all = neighboursOf(item);
  const above = aboveOf(item);
  return `${all.indexOf(item) + 1} of ${all.length} ${above ? `in “${titleOf(above)}”` : "at the top"}`;
};

// `hands`: `bring` has what lies below a dimension on the page, `tell` says a sentence, `moved` is told the link
// whose line has moved, `refused` that the tree may have changed meanwhile.
export const makeMover = (tree, hands) => {
  let last = Promise.resolve();
  let waiting = 0;

  const move = async (link, place) => {
    const item = itemOf(link);
    const address = `${tree.dataset.api}/nodes/${link.dataset.key}/move`;
    const where = { parent: keyOf(place.parent), before: keyOf(place.before) };
    if (place.parent) await hands.bring(branchOf(place.parent));
    const answer = await request(address, { method: "POST", json: { based_on: Number(link.dataset.revision), ...where } });
    link.dataset.revision = (await answer.json()).revision;
    put(tree, item, place);
    hands.moved(link);
    hands.tell(`Moved: now ${whereItIs(item)}.`);
  };

  const attempt = async (key, find) => {
    const link = lineWith(tree, key);
    if (!link) return;
    const place = find(itemOf(link));
    if (typeof place === "string") hands.tell(place);
    else {
      try {
        await move(link, place);
      } catch (failed) {
        if (!(failed instanceof Failed)) throw failed;
        sayFailed(failed, { isWrite: true });
        hands.refused();
      }
    }
  };

  // Places are looked for when it is a move's turn: those before it may have changed them.
  const queue = (link, find) => {
    const { key } = link.dataset;
    waiting += 1;
    last = last.then(() => attempt(key, find)).finally(() => {
      waiting -= 1;
    });
    return last;
  };

  return {
    isBusy: () => waiting > 0,
    byKey: (link, way) => queue(link, PLACES[way]),
    to: (link, place) => queue(link, () => place),
  };
};
