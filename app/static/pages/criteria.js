// The hands of the criteria tree: walking it by keyboard, filtering, renaming in place, moving.
// Everything it does can also be done with links and forms.

import { listen } from "./criteria_arriving.js";
import { makeBranches } from "./criteria_branches.js";
import { makeDragging } from "./criteria_dragging.js";
import { aboveOf, branchOf, isShown, itemOf, lineWith, linkOf, reveal } from "./criteria_lines.js";
import { markFound, unmark } from "./criteria_marks.js";
import { makeMover } from "./criteria_moving.js";
import { inTab } from "./kept.js";
import { onKeys } from "./keys.js";
import { makeSearch } from "./search.js";
import { isUnsaved, mayLeave } from "./unsaved.js";

const tree = document.getElementById("tree");

const lines = () => [...tree.querySelectorAll("a.names")].filter(isShown);

// One stop in the tab order: the line one was on last.
let current = null;

const setCurrent = (link, { focus = true } = {}) => {
  if (!link) return;
  if (current) current.tabIndex = -1;
  current = link;
  current.tabIndex = 0;
  if (focus) {
    current.focus({ preventScroll: true });
    current.scrollIntoView({ block: "nearest" });
  }
};

// A list of links becomes a tree to walk in: each line is an item of it, with what lies below it.
const readyLine = (link) => {
  link.tabIndex = -1;
  link.setAttribute("role", "treeitem");
  const branch = branchOf(itemOf(link));
  if (!branch) return;
  link.setAttribute("aria-expanded", String(branch.open));
  link.setAttribute("aria-owns", `${branch.id}-list`);
};

const readyIn = (part) => {
  for (const each of part.querySelectorAll("li")) each.setAttribute("role", linkOf(each) ? "none" : "treeitem");
  for (const each of part.querySelectorAll("a.names")) readyLine(each);
  for (const each of part.querySelectorAll("details")) {
    const list = each.querySelector(":scope > ul");
    list.setAttribute("role", "group");
    list.id = `${each.id}-list`;
    const arrow = each.querySelector(":scope > summary");
    arrow.tabIndex = -1;
    arrow.setAttribute("aria-hidden", "true");
  }
};

const readyLines = () => {
  tree.querySelector(":scope > ul").setAttribute("role", "tree");
  tree.querySelector(":scope > ul").setAttribute("aria-label", "Criteria");
  readyIn(tree);
  const chosen = tree.querySelector("a.names[aria-current]");
  setCurrent(chosen ?? (current?.isConnected ? current : tree.querySelector("a.names")), { focus: false });
};

const branches = tree && makeBranches(tree, (list) => {
  readyIn(list);
  if (current?.isConnected) current.tabIndex = 0;
  else readyLines();
});

const choose = (link) => {
  for (const each of tree.querySelectorAll("a.names[aria-current]")) {
    if (each !== link) each.removeAttribute("aria-current");
  }
  link?.setAttribute("aria-current", "true");
};

// Thousands of lines: htmx is asked for the one that is picked, and need not know them all.
const pick = (link) => window.htmx.ajax("GET", link.href, { source: link, target: "#panel", swap: "outerHTML" });

// The panel follows the line one rests on, not each line one passes.
let waiting = 0;
const showSoon = (link, delay = 220) => {
  clearTimeout(waiting);
  waiting = setTimeout(() => {
    // Who writes in the panel and walks on in the tree is not asked at each line.
    if (isUnsaved(document.getElementById("panel"))) return;
    if (current === link && !link.hasAttribute("aria-current")) pick(link);
  }, delay);
};

const go = (link) => {
  if (!link) return;
  setCurrent(link);
  showSoon(link);
};

const step = (by) => {
  const all = lines();
  go(all[Math.min(all.length - 1, Math.max(0, all.indexOf(current) + by))]);
};

const goIn = () => {
  const details = branchOf(itemOf(current));
  if (!details) return;
  if (!details.open) details.open = true;
  else go([...details.querySelectorAll(":scope > ul > li")].map(linkOf).find(isShown));
};

const goOut = () => {
  const details = branchOf(itemOf(current));
  if (details?.open) details.open = false;
  else {
    const above = aboveOf(itemOf(current));
    if (above) go(linkOf(above));
  }
};

// Editing ---

const mayEdit = () => "editable" in tree.dataset;
const nodeAddress = (link) => `${tree.dataset.base}/nodes/${link.dataset.key}`;

const load = (address, target, swap = "outerHTML") => {
  clearTimeout(waiting);
  return window.htmx.ajax("GET", address, { target, swap, source: document.body });
};

const rename = (link) => load(`${nodeAddress(link)}/rename`, `#${link.closest(".node").id}`);

const parentDimension = (link) => {
  const item = itemOf(link);
  return linkOf(item.classList.contains("dimension") ? item : item.parentElement.closest("li"));
};

const add = (link) => load(`${tree.dataset.base}/add?parent=${parentDimension(link).dataset.key}`, "#panel");

const ACTIONS = {
  ArrowDown: () => step(1),
  ArrowUp: () => step(-1),
  ArrowRight: goIn,
  ArrowLeft: goOut,
  Home: () => go(lines()[0]),
  End: () => go(lines().at(-1)),
  " ": () => pick(current),
};
const EDITS = {
  Enter: rename,
  F2: rename,
  e: (link) => load(`${nodeAddress(link)}/edit`, "#panel"),
  a: add,
  m: (link) => load(`${nodeAddress(link)}/merge`, "#panel"),
  s: (link) => load(`${nodeAddress(link)}/split`, "#panel"),
  c: (link) => load(`${nodeAddress(link)}/redefine`, "#panel"),
  r: (link) => load(`${nodeAddress(link)}/retire`, "#panel"),
  x: (link) => load(`${nodeAddress(link)}/move`, "#panel"),
  "Alt+Shift+ArrowUp": (link) => mover.byKey(link, "up"),
  "Alt+Shift+ArrowDown": (link) => mover.byKey(link, "down"),
  "Alt+Shift+ArrowRight": (link) => mover.byKey(link, "in"),
  "Alt+Shift+ArrowLeft": (link) => mover.byKey(link, "out"),
};

// Acts on the line that has the focus.
const onLine = (action) => (_, target) => {
  const link = target.closest("a.names");
  if (link !== current) setCurrent(link, { focus: false });
  action(link);
};
const onLines = (actions) => Object.fromEntries(Object.entries(actions).map(([key, action]) => [key, onLine(action)]));

// Filtering ---

const filter = document.getElementById("filter");
const openBefore = new Map();

const remember = () => {
  if (openBefore.size) return;
  for (const each of tree.querySelectorAll("details")) openBefore.set(each, each.open);
};

const showAll = () => {
  for (const each of tree.querySelectorAll(".match, .no-match, .only-way")) {
    each.classList.remove("match", "in-definition", "no-match", "only-way");
  }
  // What was brought to be shown was not open.
  const all = openBefore.size ? tree.querySelectorAll("details") : [];
  for (const each of all) each.open = openBefore.get(each) ?? false;
  openBefore.clear();
  unmark();
  tree.classList.remove("is-filtered");
  document.getElementById("filter-count").textContent = "";
  document.getElementById("nothing").hidden = true;
};

// A found line is marked and in view, the dimensions above it are open. A dimension that is found itself
// keeps what lies below it at hand, folded; where something below is found too, only that is shown.
const sift = (item, found) => {
  const where = found.get(item.dataset.key)?.where;
  const children = [...item.querySelectorAll(":scope > details > ul > li")];
  const below = children.reduce((sum, child) => sum + sift(child, found), 0);
  if (where && !below) for (const each of item.querySelectorAll("li.no-match")) each.classList.remove("no-match");
  item.classList.toggle("match", Boolean(where));
  item.classList.toggle("in-definition", where === "definition");
  item.classList.toggle("no-match", !where && !below);
  item.classList.toggle("only-way", !where && below > 0);
  const details = item.querySelector(":scope > details");
  if (details) details.open = below > 0;
  return below + (where ? 1 : 0);
};

const look = makeSearch();
const say = (text) => {
  document.getElementById("filter-count").textContent = text;
};

const sieve = async () => {
  const words = filter.value.trim();
  if (!words) {
    look.forget();
    showAll();
    return;
  }
  let items = null;
  try {
    items = await look(tree.dataset.matches, words);
    if (items) await branches.bring(items.map((each) => each.key));
  } catch (failed) {
    say(failed.message);
    return;
  }
  if (!items || filter.value.trim() !== words) return;
  remember();
  tree.classList.add("is-filtered");
  const found = new Map(items.map((each) => [each.key, each]));
  for (const item of tree.querySelectorAll(":scope > ul > li")) sift(item, found);
  const links = [...tree.querySelectorAll("li.match")].map(linkOf).filter(Boolean);
  markFound(links.map((link) => [link, found.get(link.dataset.key)]));
  say(`${items.length} found`);
  document.getElementById("nothing").hidden = items.length > 0;
  tree.scrollTop = 0;
};

// Keys that go to what was found wait for it.
let sieving = Promise.resolve();
const startSieve = () => {
  sieving = sieve();
};

const clearFilter = () => {
  filter.value = "";
  startSieve();
};

const goToFound = async () => {
  await sieving;
  go(lines().find((link) => itemOf(link).classList.contains("match")) ?? lines()[0]);
};

// What was found stays in view when everything else comes back.
const leaveFilter = () => {
  clearFilter();
  const link = current?.isConnected ? current : lines()[0];
  reveal(link);
  setCurrent(link);
};

const leaveForm = (_, target) => {
  const place = target.closest("form") ?? target.closest("#panel");
  const cancel = place.querySelector("[data-cancel]");
  if (cancel && mayLeave(place)) cancel.click();
  return Boolean(cancel);
};

// From the words that are searched for to the places that were found, and back.
const stepPlaces = (by) => (_, target) => {
  const stops = [...document.querySelectorAll("#place-words, #places a")];
  stops[stops.indexOf(target) + by]?.focus();
};

// Folding and definitions ---

const fold = async () => {
  const isOpen = Boolean(tree.querySelector(".level-2 > details[open]"));
  if (!isOpen) await branches.bringAll();
  for (const each of tree.querySelectorAll("details")) each.open = !isOpen || each.closest("li").classList.contains("level-1");
  if (current && !isShown(current)) setCurrent(lines()[0], { focus: tree.contains(document.activeElement) });
};

const toggleDefinitions = () => {
  const isOn = tree.classList.toggle("show-definitions");
  document.getElementById("definitions").setAttribute("aria-pressed", String(isOn));
  current?.scrollIntoView({ block: "nearest" });
};

// What was open stays open when the page comes anew, as after adding a node.
const memory = () => `open ${tree.dataset.base}`;
const keepOpen = () => {
  if (openBefore.size) showAll();
  const [open, closed] = [true, false].map((isOpen) =>
    [...tree.querySelectorAll("details")].filter((each) => each.open === isOpen).map((each) => each.id));
  const isBeingUsed = Boolean(document.activeElement?.closest(".workplace"));
  inTab.write(memory(), { open, closed, keys: branches.openKeys(), top: tree.scrollTop, isBeingUsed });
};
const reopen = async () => {
  const kept = inTab.read(memory());
  if (!kept) return;
  const keys = kept.keys ?? [];
  if (branches.lacks(keys)) await branches.bring(keys);
  for (const id of kept.closed) document.getElementById(id)?.removeAttribute("open");
  for (const id of kept.open) document.getElementById(id)?.setAttribute("open", "");
  const chosen = tree.querySelector("a.names[aria-current]");
  if (chosen) reveal(chosen);
  tree.scrollTop = kept.top;
  // Whoever works by keyboard goes on at the line that a form has changed.
  if (kept.isBeingUsed) (chosen ?? tree.querySelector("a.names"))?.focus({ preventScroll: true });
};

// Where a form begins: at what is wrong, or its first field; of a choice at what is chosen.
const firstField = (part) => {
  const first = part.querySelector('[aria-invalid="true"]') ?? part.querySelector("form :is(input:not([type=hidden]), select, textarea, [type=submit])");
  return first?.type === "radio" ? (part.querySelector("input[type=radio]:checked") ?? first) : first;
};

const start = () => {
  reopen();
  readyLines();
  for (const id of ["filter", "definitions", "fold"]) document.getElementById(id).hidden = false;
  current?.scrollIntoView({ block: "nearest" });
  addEventListener("pagehide", keepOpen);

  const ofTree = { within: "#tree a.names", takesEnter: true };
  onKeys(onLines(ACTIONS), ofTree);
  if (mayEdit()) onKeys(onLines(EDITS), ofTree);
  tree.addEventListener("focusin", (event) => {
    const link = event.target.closest("a.names");
    if (link) setCurrent(link, { focus: false });
  });
  tree.addEventListener("click", (event) => {
    const link = event.target.closest("a.names");
    const isElsewhere = event.ctrlKey || event.metaKey || event.shiftKey;
    if (link && !isElsewhere) {
      event.preventDefault();
      pick(link);
    }
    const line = event.target.closest(".line");
    if (!line || event.target.closest("a, button, form")) return;
    const details = line.parentElement.querySelector(":scope > details");
    details.open = !details.open;
  });
  tree.addEventListener("toggle", (event) => {
    linkOf(event.target.closest("li"))?.setAttribute("aria-expanded", String(event.target.open));
  }, { capture: true });
  // The second click of two asks for nothing that the first has not asked for.
  tree.addEventListener("click", (event) => {
    if (event.detail < 2 || !event.target.closest("a.names")) return;
    event.preventDefault();
    event.stopPropagation();
  }, { capture: true });
  tree.addEventListener("dblclick", (event) => {
    const link = event.target.closest("a.names");
    if (link && mayEdit()) rename(link);
  });
  filter.addEventListener("input", startSieve);
  onKeys({ Escape: leaveFilter, ArrowDown: goToFound, Enter: goToFound }, { field: "#filter" });
  document.getElementById("clear").addEventListener("click", () => {
    clearFilter();
    filter.focus();
  });
  document.getElementById("fold").addEventListener("click", fold);
  document.getElementById("definitions").addEventListener("click", toggleDefinitions);

  onKeys({ Escape: leaveForm }, { field: "form, #panel" });
  onKeys({ ArrowDown: stepPlaces(1), ArrowUp: stepPlaces(-1) }, { field: "#place-words, #places a" });
  onKeys({ "/": () => filter.focus(), d: toggleDefinitions, f: fold });

  // A line is chosen when its panel is asked for.
  document.addEventListener("htmx:beforeRequest", (event) => {
    if (event.defaultPrevented) return;
    const link = event.detail.elt.closest?.("a.names");
    if (link) choose(link);
  });
  // Forms begin at their first field; a saved line takes the focus back.
  document.addEventListener("htmx:afterSettle", (event) => {
    const part = event.detail.elt;
    if (!(part instanceof Element) || !part.isConnected) return;
    const field = firstField(part);
    const isForm = part.classList.contains("is-renaming") || (part.id === "panel" && part.querySelector("form [data-cancel]"));
    if (tree.contains(part)) readyLines();
    if (isForm && field) {
      if (part.contains(document.activeElement)) return; // someone was faster
      field.focus();
      field.select?.();
    } else if (part.classList.contains("node") && tree.contains(part)) {
      const link = part.querySelector("a.names");
      choose(link);
      setCurrent(link, { focus: document.activeElement === document.body || tree.contains(document.activeElement) });
    } else if (part.id === "panel" && document.activeElement === document.body) {
      current?.focus({ preventScroll: true });
    }
  });
};

// What others change arrives beside one's own work.
const hands = {
  open: () => {
    const chosen = tree.querySelector("a.names[aria-current]");
    return [...branches.openKeys(), ...(chosen ? [chosen.dataset.key] : [])];
  },
  bring: (keys, root) => branches.bring(keys, root),
  isBusy: () => Boolean(tree.querySelector(".is-renaming") || openBefore.size || mover?.isBusy() || dragging?.isBusy()),
  replaced: (was, is, had) => {
    if (current === was) current = is;
    readyLines();
    if (current === is) setCurrent(is, { focus: had });
  },
  renewed: (had, chosenKey) => {
    const key = current?.dataset.key;
    const chosen = chosenKey && lineWith(tree, chosenKey);
    if (chosen) choose(chosen);
    current = (key && lineWith(tree, key)) || tree.querySelector("a.names[aria-current]");
    readyLines();
    if (current && had) reveal(current);
    if (current) setCurrent(current, { focus: had });
  },
  // The panel shows the node as it stands now, or what became of it, but never over a form.
  changed: (keys) => {
    const panel = document.getElementById("panel");
    const { key, revision } = panel.dataset;
    if (!key || panel.querySelector("form [data-cancel]") || isUnsaved(panel)) return;
    if (keys.has(key) || lineWith(tree, key)?.dataset.revision !== revision) load(`${tree.dataset.base}?node=${key}`, "#panel");
  },
};

const SETTLED = 600; // milliseconds after a move
let mover = null;
let dragging = null;

const startMoving = (news) => {
  let settling = 0;
  const moved = (link) => {
    readyLines();
    // The counts of both places come with the tree, once nothing more is moved.
    clearTimeout(settling);
    settling = setTimeout(news.look, SETTLED);
    if (link.hasAttribute("aria-current")) {
      setCurrent(link);
      hands.changed(new Set([link.dataset.key]));
    } else go(link);
  };
  mover = makeMover(tree, { bring: branches.bringOne, tell: news.tell, moved, refused: news.look });
  dragging = makeDragging(tree, { move: mover.to });
  onKeys({ Escape: dragging.cancel });
};

if (tree) {
  start();
  const news = listen(tree, hands);
  if (mayEdit()) startMoving(news);
}
