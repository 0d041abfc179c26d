// What is unsent: each tab keeps and sends a list of its own; what a killed one left, the next takes over.

import { inBrowser, inTab } from "./kept.js";
import { newId } from "./new_id.js";

const TAB = "morelli-tab";
const ANSWER_MS = 250;

const numbered = (number) => {
  inTab.write(TAB, number);
  return number;
};

const openLine = (name) => (globalThis.BroadcastChannel ? new BroadcastChannel(name) : null);

// The lists of one owner. Tabs that live answer to a call on the line between tabs, so that what others left
// behind can be told from what they still send.
export const makeLists = (owner, line = openLine(`morelli-tabs/${owner}`)) => {
  const lists = `morelli-unsent/${owner}/`;
  const me = newId();
  const alive = new Set();
  let tab = inTab.read(TAB) ?? numbered(newId());

  line?.addEventListener("message", ({ data }) => {
    if (data.asks && data.asks !== me) line.postMessage({ tab, of: me });
    if (data.tab && data.of !== me) alive.add(data.tab);
  });

  const listOf = (name) => inBrowser.read(name) ?? [];
  const keep = (ops) => (ops.length ? inBrowser.write(lists + tab, ops) : inBrowser.remove(lists + tab));

  return {
    keep,
    left: () => listOf(lists + tab),
    // Sending one action twice is harmless: the server knows it by its id.
    takeOver: async () => {
      line?.postMessage({ asks: me });
      await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
      const isDouble = alive.has(tab);
      if (isDouble) tab = numbered(newId());
      const orphans = inBrowser.names(lists).filter((name) => name !== lists + tab && !alive.has(name.slice(lists.length)));
      const taken = orphans.flatMap(listOf);
      keep([...taken, ...(isDouble ? [] : listOf(lists + tab))]);
      orphans.forEach(inBrowser.remove);
      return { taken, isDouble };
    },
  };
};
