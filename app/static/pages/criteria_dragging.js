// Dragging lines of the criteria tree with the mouse, or with a finger that rests on a line first: what is below the
// pointer, where the line would land and whether it may, said beside it. Letting go moves it as the keys do; Escape
// leaves all as it is.

import { aboveOf, branchOf, itemOf, keyOf, kindOf, listOf, neighboursOf, titleOf } from "./criteria_lines.js";
import { landing, pull } from "./criteria_places.js";
import { request } from "./requests.js";

const FAR_ENOUGH = 6; // pixels; less is a click
const HOLDS_AFTER = 450; // milliseconds that a finger rests; one that moves before scrolls
const OPENS_AFTER = 600; // milliseconds over a closed dimension
const ROOM = [380, 70]; // pixels that the words beside the pointer may take
const PAGE = 1000;

// What stands against each dimension, by key; that of the top by an empty one.
const askPlaces = async (tree, key) => {
  const problems = new Map();
  let after = "";
  do {
    const address = `${tree.dataset.api}/nodes/${key}/places?limit=${PAGE}${after && `&after=${after}`}`;
    const found = await (await request(address)).json();
    for (const each of found.items) problems.set(each.key ?? "", each.problem);
    after = found.next;
  } while (after);
  return problems;
};

const element = (className) => {
  const made = document.createElement("div");
  made.className = className;
  made.setAttribute("aria-hidden", "true");
  return made;
};

const rowOf = (item) => item.querySelector(":scope > .line, :scope > .node");
const next = (item) => {
  const all = neighboursOf(item);
  return all[all.indexOf(item) + 1] ?? null;
};

// What the pointer is over: the place `{ parent, before }`, and the `row` and `mode` by which it is shown.
const aim = (tree, dragged, x, y) => {
  const below = document.elementFromPoint(x, y);
  if (!tree.contains(below)) return null;
  const item = below.closest("li");
  const kind = kindOf(dragged);
  if (!item) {
    if (below !== tree || kind === "pair") return null;
    const last = tree.querySelector(":scope > ul > li:last-child");
    return { parent: null, before: null, row: last, mode: "after" };
  }
  if (item === dragged) return null;
  const box = rowOf(item).getBoundingClientRect();
  const isOpen = Boolean(branchOf(item)?.open && listOf(item)?.children.length);
  const mode = landing({ kind, over: kindOf(item), share: (y - box.top) / box.height, isOpen });
  if (mode === "into") return { parent: item, before: null, row: item, mode };
  if (mode === "beside") return { parent: aboveOf(item), before: null, row: aboveOf(item), mode: "into" };
  return { parent: aboveOf(item), before: mode === "before" ? item : next(item), row: item, mode };
};

const isWhereItWas = (dragged, { parent, before }) =>
  parent === aboveOf(dragged) && (before === dragged || before === next(dragged));

// What of a drag is seen.
const makeSigns = (tree) => {
  const line = element("drop-line");
  const words = element("drop-words");
  let marked = null;

  const unmark = () => {
    marked?.classList.remove("drop-into", "drop-refused");
    marked = null;
    line.remove();
  };

  const draw = ({ row, mode }) => {
    const box = (mode === "after" ? row : rowOf(row)).getBoundingClientRect();
    const around = tree.getBoundingClientRect();
    line.style.top = `${(mode === "before" ? box.top : box.bottom) - around.top + tree.scrollTop}px`;
    line.style.left = `${box.left - around.left}px`;
    tree.append(line);
  };

  const follow = (x, y, text) => {
    words.textContent = text;
    words.style.left = `${Math.min(x + 14, innerWidth - ROOM[0])}px`;
    words.style.top = `${y + 16 + ROOM[1] > innerHeight ? y - ROOM[1] + 16 : y + 16}px`;
    if (!words.isConnected) document.body.append(words);
  };

  return {
    show: (target, problem) => {
      unmark();
      if (!target) return;
      if (!problem && target.mode !== "into") draw(target);
      else {
        marked = rowOf(target.row);
        marked.classList.add(problem ? "drop-refused" : "drop-into");
      }
    },
    // Above a finger, which covers what is below it.
    follow: (x, y, text, isTouch) => follow(x, isTouch ? y - ROOM[1] - 16 : y, text),
    clear: () => {
      unmark();
      words.remove();
    },
  };
};

// `hands.move` moves a link's line to a place.
export const makeDragging = (tree, hands) => {
  const signs = makeSigns(tree);
  let held = null; // the link that is pressed, and where
  let drag = null; // what is dragged, once it is far enough
  let opening = 0;
  let holding = 0;

  const problemOf = (target) => drag.problems?.get(keyOf(target.parent) ?? "") ?? null;

  const wordsFor = (target, problem) => {
    if (problem) return problem;
    if (!target || isWhereItWas(drag.item, target)) return titleOf(drag.item);
    const place = target.parent ? `“${titleOf(target.parent)}”` : "the top of the tree";
    return `${titleOf(drag.item)} → ${place}`;
  };

  const openSoon = (target) => {
    const branch = target?.mode === "into" ? branchOf(target.row) : null;
    if (branch === drag.over) return;
    drag.over = branch;
    clearTimeout(opening);
    if (branch && !branch.open) {
      opening = setTimeout(() => {
        branch.open = true;
        look();
      }, OPENS_AFTER);
    }
  };

  const look = () => {
    if (!drag) return;
    const target = aim(tree, drag.item, drag.x, drag.y);
    const problem = target && problemOf(target);
    drag.target = target && !problem && !isWhereItWas(drag.item, target) ? target : null;
    signs.show(target, problem);
    signs.follow(drag.x, drag.y, wordsFor(target, problem), drag.isTouch);
    openSoon(target);
  };

  const roll = () => {
    if (!drag) return;
    const { top, bottom } = tree.getBoundingClientRect();
    const was = tree.scrollTop;
    tree.scrollTop += pull(drag.y, top, bottom);
    if (tree.scrollTop !== was) look();
    requestAnimationFrame(roll);
  };

  const begin = () => {
    const { link, pointerId, isTouch, x, y } = held;
    const item = itemOf(link);
    drag = { link, item, x, y, isTouch, problems: null, target: null, over: null };
    tree.setPointerCapture(pointerId);
    tree.classList.add("is-dragging");
    item.classList.add("is-dragged");
    getSelection().removeAllRanges();
    const mine = drag;
    askPlaces(tree, keyOf(item)).then((problems) => {
      mine.problems = problems;
      look();
    }).catch(() => {}); // Then the server says at the drop what it would have said now.
    requestAnimationFrame(roll);
  };

  const end = () => {
    clearTimeout(opening);
    clearTimeout(holding);
    held = null;
    if (!drag) return null;
    const was = drag;
    drag = null;
    signs.clear();
    tree.classList.remove("is-dragging");
    was.item.classList.remove("is-dragged");
    return was;
  };

  const swallow = (event) => {
    event.preventDefault();
    event.stopPropagation();
  };

  tree.addEventListener("pointerdown", (event) => {
    const link = event.target.closest("a.names");
    const isPlain = event.button === 0 && event.isPrimary && !event.ctrlKey && !event.metaKey && !event.shiftKey;
    if (!link || !isPlain) return;
    const isTouch = event.pointerType === "touch";
    held = { link, pointerId: event.pointerId, isTouch, x: event.clientX, y: event.clientY };
    if (isTouch) {
      holding = setTimeout(() => {
        begin();
        look();
      }, HOLDS_AFTER);
    }
  });
  // While a line is dragged, the finger scrolls nothing and asks for no menu of the link.
  tree.addEventListener("touchmove", (event) => drag && event.preventDefault(), { passive: false });
  tree.addEventListener("contextmenu", (event) => held?.isTouch && event.preventDefault());
  tree.addEventListener("dragstart", (event) => {
    if (event.target.closest?.("a.names")) event.preventDefault();
  });
  addEventListener("pointermove", (event) => {
    if (!held) return;
    if (!drag && Math.hypot(event.clientX - held.x, event.clientY - held.y) < FAR_ENOUGH) return;
    if (!drag && held.isTouch) {
      end();
      return;
    }
    if (!drag) begin();
    drag.x = event.clientX;
    drag.y = event.clientY;
    look();
  });
  addEventListener("pointerup", () => {
    const was = end();
    if (!was) return;
    // Letting go is no click on the line.
    addEventListener("click", swallow, { capture: true, once: true });
    setTimeout(() => removeEventListener("click", swallow, { capture: true }));
    if (was.target) hands.move(was.link, was.target);
  });
  addEventListener("pointercancel", end);
  addEventListener("blur", end);
  tree.addEventListener("scroll", look);

  return { isBusy: () => Boolean(drag), cancel: () => Boolean(end()) };
};
