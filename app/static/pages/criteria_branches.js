// Of a large tree the page holds only the branches that are open. What lies below the others is brought when it
// is asked for: by opening one, by a filter that found something there, by unfolding everything.

import { request } from "./requests.js";

// More lines than these at once come with the whole tree.
const MANY = 400;

const isAway = (details) => "away" in details.dataset;
const isHere = (root, key) => {
  const item = root.querySelector(`li[data-key="${CSS.escape(key)}"]`);
  const details = item?.querySelector(":scope > details");
  return Boolean(item) && !(details && isAway(details));
};

// `arrived` is told each list of lines that came.
export const makeBranches = (tree, arrived) => {
  const coming = new Map();

  const put = (details, list) => {
    const own = details.querySelector(":scope > ul");
    own.replaceChildren(...list.children);
    details.querySelector(":scope > .away").remove();
    delete details.dataset.away;
    return own;
  };

  const ask = async (keys, root) => {
    const words = new URLSearchParams(keys.map((key) => ["key", key]));
    const answer = await request(`${tree.dataset.base}/branches?${words}`, { headers: { "HX-Request": "true" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const outermost = new Set();
    for (const list of page.querySelectorAll("ul[data-branch]")) {
      const details = root.querySelector(`#${list.dataset.branch}`);
      if (!details || !isAway(details)) continue;
      const own = put(details, list);
      if (![...outermost].some((each) => each.contains(own))) outermost.add(own);
    }
    if (root !== tree) return;
    outermost.forEach(arrived);
  };

  // What lies below the dimensions with these keys, and the lines of pairs with these keys.
  const bring = (keys, root = tree) => {
    const lacking = keys.filter((key) => !isHere(root, key));
    if (!lacking.length) return Promise.resolve();
    return ask(lacking.length > MANY ? [] : lacking, root);
  };

  // What lies below one dimension, asked for once.
  const bringOne = (details) => {
    if (!isAway(details)) return Promise.resolve();
    if (!coming.has(details)) {
      const { key } = details.closest("li").dataset;
      coming.set(details, ask([key], tree).finally(() => coming.delete(details)));
    }
    return coming.get(details);
  };

  tree.addEventListener("toggle", (event) => {
    if (event.target.open) bringOne(event.target);
  }, { capture: true });

  return {
    bring,
    bringOne,
    bringAll: () => (tree.querySelector("details[data-away]") ? ask([], tree) : Promise.resolve()),
    lacks: (keys) => keys.some((key) => !isHere(tree, key)),
    openKeys: () => [...tree.querySelectorAll("details[open]:not([data-away])")].map((each) => each.closest("li").dataset.key),
  };
};
