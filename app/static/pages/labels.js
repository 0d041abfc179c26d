// The labelling page. Every action is painted at once and put into one queue, which saves in order and
// tries again with the same operation id, so that nothing is lost or doubled. Images are exchanged in
// place: the queue lives as long as the tab.

import { onKeys } from "./keys.js";
import { request } from "./requests.js";
import { makeSearch } from "./search.js";
import { guard } from "./unsaved.js";

const RETRY_SECONDS = [1, 2, 4, 8, 15];
const STATES = ["proposed", "confirmed", "rejected"];

const queue = []; // what is not saved yet, in the order of the hands
const actions = new Map(); // image id -> this tab's actions there, for undo
const seen = new Map(); // attribute -> revision of the image in which we know it
const conflicts = new Map(); // attribute -> both values, until one is chosen
const pages = new Map(); // address -> promise of a page loaded ahead
const marked = new Set(); // images marked as done in this tab
let attributes = null; // promise of every attribute of the version in force
let attributesFrom = "";
let sending = false;
let failures = 0;
let retryTimer = 0;
let going = false;
let sheet = document.getElementById("labelling");

const find = (selector) => sheet.querySelector(selector);
const rows = () => [...sheet.querySelectorAll("li.label")];
const current = () => find("li.label[data-here]");
const rowOf = (key, polarity) => document.getElementById(`label-${key}-${polarity}`);
const named = (image, key, polarity) => `${image}/${key}/${polarity}`;
const other = (polarity) => (polarity === "positive" ? "negative" : "positive");
const isHidden = () => sheet.dataset.hide === "true";

const newId = () => {
  if (crypto.randomUUID) return crypto.randomUUID();
  // crypto.randomUUID is missing on plain http in a local network.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((each) => each.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
};

const element = (tag, values = {}, ...children) => {
  const made = Object.assign(document.createElement(tag), values);
  made.append(...children);
  return made;
};

// Saving --------------------------------------------------------------------------------------

const say = (text, is = "") => {
  const place = find("#saving");
  place.dataset.is = is;
  if (place.textContent !== text) place.textContent = text;
};

const sayState = () => {
  const waiting = queue.length;
  if (failures && waiting) say(`${waiting} not saved yet, trying again`, "unsaved");
  else if (waiting) say("Saving …");
  else if (find("#saving").dataset.is !== "bad") say("Saved");
};

const send = async (op) => {
  const body = { operation_id: op.id };
  if (op.kind === "undo") body.event_id = op.undoes?.eventId ?? null;
  if (op.kind === "save") {
    body.state = op.state;
    body.suggestion_visible = op.visible;
    body.based_on = Math.max(op.revision, seen.get(op.attribute) ?? 0);
  }
  const answer = await request(op.address, {
    method: op.kind === "undo" ? "POST" : "PUT",
    json: op.kind === "done" ? { done: op.done } : body,
    keepalive: true,
  });
  return answer.json();
};

const pump = async () => {
  if (sending) return;
  sending = true;
  clearTimeout(retryTimer);
  while (queue.length) {
    const op = queue[0];
    if (op.kind === "undo" && op.undoes?.lost) {
      queue.shift();
      continue;
    }
    let body = {};
    let failed = null;
    try {
      body = await send(op);
    } catch (error) {
      failed = error;
    }
    if (failed && failed.isPassing !== false) {
      sayLater(failed);
      break;
    }
    failures = 0;
    queue.shift();
    if (!failed) saved(op, body);
    else if (failed.status === 412) conflicting(op, failed.body);
    else refused(op, failed);
    sayState();
  }
  sending = false;
};

const sayLater = (failed) => {
  const wait = RETRY_SECONDS[Math.min(failures, RETRY_SECONDS.length - 1)];
  failures += 1;
  sayState();
  if (failed.isSignedOut) {
    say(`Signed out: ${queue.length} not saved yet. Sign in in another tab; they are kept here.`, "unsaved");
  }
  for (const op of queue) if (op.kind === "save") rowIfHere(op)?.setAttribute("data-unsaved", "");
  retryTimer = setTimeout(pump, wait * 1000);
};

const rowIfHere = (op) =>
  String(op.image) === sheet.dataset.image ? rowOf(op.key, op.polarity) : null;

const enqueue = (op) => {
  op.id = newId();
  op.image = op.image ?? sheet.dataset.image;
  queue.push(op);
  pages.delete(sheet.dataset.url);
  sayState();
  pump();
};

const laterOps = (attribute) => queue.filter((op) => op.attribute === attribute);

const saved = (op, body) => {
  if (op.kind === "done") return;
  const attribute = named(op.image, body.key, body.polarity);
  seen.set(attribute, body.revision);
  op.eventId = body.event_id;
  if (String(op.image) !== sheet.dataset.image) return;
  rowOf(body.key, body.polarity)?.removeAttribute("data-unsaved");
  if (!laterOps(attribute).length) paint(body.key, body.polarity, body.state, { who: null });
  showContradictions(body.contradictions);
};

const conflicting = (op, body) => {
  const waiting = laterOps(op.attribute);
  const wish = [op, ...waiting].filter((each) => each.kind === "save").pop();
  for (const each of [op, ...waiting]) each.lost = true;
  for (let at = queue.length - 1; at >= 0; at -= 1) if (queue[at].lost) queue.splice(at, 1);
  seen.set(op.attribute, body.revision);
  conflicts.set(op.attribute, { wanted: wish.state, theirs: body.theirs, message: body.detail });
  if (String(op.image) === sheet.dataset.image) showConflict(op.key, op.polarity);
  else say(`${op.name}: ${body.detail} Yours was not saved.`, "bad");
};

const refused = (op, failed) => {
  op.lost = true;
  say(`${op.name ? `${op.name}: ` : ""}${failed.message}`, "bad");
  if (op.kind === "done") {
    marked.delete(String(op.image));
    return;
  }
  if (String(op.image) !== sheet.dataset.image) return;
  if (op.kind === "undo" && op.shown === undefined) return;
  go(sheet.dataset.url, { push: false, quiet: true });
};

guard(() => queue.length > 0);
addEventListener("online", pump);

// Painting ------------------------------------------------------------------------------------

const paint = (key, polarity, state, { who = "you" } = {}) => {
  let row = rowOf(key, polarity);
  if (!state) {
    if (row) removeRow(row);
    return count();
  }
  if (!row) row = addRow(key, polarity);
  if (!row) return count();
  row.dataset.state = state;
  const chip = row.querySelector(".chip");
  chip.className = `chip chip-${state}`;
  chip.textContent = state;
  if (who !== null) row.querySelector(".who").textContent = state === "proposed" ? "" : who;
  row.querySelector(".yes")?.setAttribute("aria-pressed", String(state === "confirmed"));
  const no = row.querySelector(".no");
  no?.setAttribute("aria-pressed", String(state === "rejected"));
  if (no) {
    const verb = "own" in row.dataset && state === "confirmed" ? "Remove" : "Reject";
    no.title = `${verb} (n)`;
    no.ariaLabel = `${verb} ${row.dataset.name}`;
  }
  return count();
};

const count = () => {
  const all = rows();
  for (const state of STATES) {
    const number = all.filter((row) => row.dataset.state === state).length;
    find(`[data-count="${state}"]`).textContent = number;
  }
  for (const root of sheet.querySelectorAll(".root")) {
    const inside = [...root.querySelectorAll("li.label")];
    const open = inside.filter((row) => row.dataset.state === "proposed").length;
    root.querySelector("h2 .num").textContent = `${inside.length - open}/${inside.length}`;
  }
  const nothing = find("#nothing");
  if (nothing) nothing.hidden = all.length > 0;
};

const removeRow = (row) => {
  const was = "here" in row.dataset;
  const place = rows().indexOf(row);
  const group = row.closest(".group");
  const root = row.closest(".root");
  row.remove();
  if (!group.querySelector("li.label")) group.remove();
  if (!root.querySelector("li.label")) root.remove();
  if (was) focusRow(rows()[Math.min(place, rows().length - 1)]);
};

// A new row stands where the server would put it: in tree order.
const addRow = (key, polarity) => {
  const list = known();
  const at = list.findIndex((each) => each.key === key && each.polarity === polarity);
  if (at < 0) return null;
  const made = list[at];
  const opposite = list.find((each) => each.key === key && each.polarity !== polarity);
  const row = find("#row-template").content.querySelector("li").cloneNode(true);
  Object.assign(row.dataset, {
    key, polarity, name: made.name, relation: made.relation, opposite: opposite?.name ?? "",
  });
  row.id = `label-${key}-${polarity}`;
  const sign = row.querySelector(".sign");
  sign.className = `sign ${polarity}`;
  sign.textContent = polarity === "positive" ? "+" : "−";
  sign.nextElementSibling.textContent = polarity;
  row.querySelector(".name").textContent = made.name;
  row.querySelector("summary").title = made.definition;
  row.querySelector(".why p").textContent = made.definition;
  for (const form of row.querySelectorAll("form")) {
    form.elements.key.value = key;
    form.elements.polarity.value = polarity;
  }
  row.querySelector(".yes").ariaLabel = `Confirm ${made.name}`;
  placeRow(row, made, at, list);
  prepareRow(row);
  return row;
};

const placeOf = (row, list) =>
  list.findIndex((each) => each.key === row.dataset.key && each.polarity === row.dataset.polarity);

const before = (parts, at, list) =>
  parts.find((part) => placeOf(part.matches("li") ? part : part.querySelector("li.label"), list) > at);

const placeRow = (row, made, at, list) => {
  const [rootName, ...path] = made.path;
  let root = [...sheet.querySelectorAll(".root")].find((each) => each.dataset.root === rootName);
  let group = [...sheet.querySelectorAll(".group")].find((each) => each.dataset.parent === made.parent);
  if (!root) {
    root = element("section", { className: "root" }, element("h2", {}, `${rootName} `, element("span", { className: "muted num" })));
    root.dataset.root = rootName;
    const next = before([...sheet.querySelectorAll(".root")], at, list);
    next ? next.before(root) : find("#nothing").before(root);
  }
  if (!group) {
    group = element("div", { className: "group" }, element("ul"));
    group.dataset.parent = made.parent;
    if (path.length) group.prepend(element("h3", {}, path.join(" › ") + (made.exclusive ? " · one of" : "")));
    const next = before([...root.querySelectorAll(".group")], at, list);
    next ? next.before(group) : root.append(group);
  }
  const next = before([...group.querySelectorAll("li.label")], at, list);
  next ? next.before(row) : group.querySelector("ul").append(row);
};

const showContradictions = (found) => {
  for (const list of sheet.querySelectorAll(".against")) list.replaceChildren();
  for (const each of found) {
    for (const { key, polarity } of each.attributes) {
      rowOf(key, polarity)?.querySelector(".against").append(element("li", { textContent: each.message }));
    }
  }
  const number = find("#num-against");
  number.hidden = !found.length;
  number.querySelector("b").textContent = found.length;
};

const word = (state) => state ?? "no label";

const showConflict = (key, polarity) => {
  const attribute = named(sheet.dataset.image, key, polarity);
  const conflict = conflicts.get(attribute);
  paint(key, polarity, conflict.theirs.state, { who: conflict.theirs.by ?? "" });
  const row = rowOf(key, polarity);
  if (!row) {
    say(conflict.message, "bad");
    conflicts.delete(attribute);
    return;
  }
  row.querySelector(".stands")?.remove();
  const keep = element("button", { type: "button", className: "small", textContent: `Keep: ${word(conflict.theirs.state)}` });
  const mine = element("button", { type: "button", className: "small", textContent: `Save mine: ${conflict.wanted}` });
  keep.title = "What stands is not changed";
  mine.title = conflict.wanted === "confirmed" ? "y" : "n";
  keep.addEventListener("click", () => settle(row, attribute));
  mine.addEventListener("click", () => decide(row, conflict.wanted));
  const box = element(
    "div",
    { className: "stands small", role: "alert" },
    element("p", { textContent: conflict.message }),
    element("p", { className: "row" }, keep, mine),
  );
  row.append(box);
  focusRow(row);
};

const settle = (row, attribute) => {
  conflicts.delete(attribute);
  row.querySelector(".stands")?.remove();
  focusRow(row);
};

// Deciding ------------------------------------------------------------------------------------

const stateOf = (key, polarity) => rowOf(key, polarity)?.dataset.state ?? null;

const act = (key, polarity, state, group = newId()) => {
  const attribute = named(sheet.dataset.image, key, polarity);
  const shown = stateOf(key, polarity);
  conflicts.delete(attribute);
  rowOf(key, polarity)?.querySelector(".stands")?.remove();
  const made = !rowOf(key, polarity);
  paint(key, polarity, state === "withdrawn" ? null : state);
  const row = rowOf(key, polarity);
  if (made && row) row.dataset.own = "";
  const op = {
    kind: "save", key, polarity, state, attribute, group, shown,
    name: row?.dataset.name ?? key,
    visible: !isHidden(),
    revision: Number(sheet.dataset.revision),
    address: `${sheet.dataset.api}/${key}/${polarity}`,
  };
  const list = actions.get(sheet.dataset.image) ?? [];
  list.push(op);
  actions.set(sheet.dataset.image, list);
  enqueue(op);
};

const decide = (row, state) => {
  if ("retired" in row.dataset) return say("This pair is retired; its labels are kept as they are.", "bad");
  clearBad();
  act(row.dataset.key, row.dataset.polarity, state);
  return undefined;
};

const confirmRow = (row) => {
  decide(row, "confirmed");
  nextUndecided(row);
};

const rejectRow = (row) => {
  const own = "own" in row.dataset && row.dataset.state === "confirmed";
  decide(row, own ? "withdrawn" : "rejected");
  if (row.isConnected) nextUndecided(row);
};

const flipRow = async (row) => {
  if ("retired" in row.dataset) return decide(row, "rejected");
  await attributes;
  clearBad();
  const { key, polarity } = row.dataset;
  const group = newId();
  if (row.dataset.state !== "rejected") {
    const own = "own" in row.dataset && row.dataset.state === "confirmed";
    act(key, polarity, own ? "withdrawn" : "rejected", group);
  }
  if (stateOf(key, other(polarity)) !== "confirmed") act(key, other(polarity), "confirmed", group);
  const flipped = rowOf(key, other(polarity));
  flipped?.classList.add("fresh");
  nextUndecided(row.isConnected ? row : flipped);
  return undefined;
};

const undoLast = () => {
  const list = actions.get(sheet.dataset.image) ?? [];
  while (list.length && list.at(-1).lost) list.pop();
  const last = list.at(-1);
  clearBad();
  if (!last) {
    enqueue({ kind: "undo", address: sheet.dataset.undo });
    return;
  }
  while (list.length && list.at(-1).group === last.group) {
    const undone = list.pop();
    if (undone.lost) continue;
    const row = rowOf(undone.key, undone.polarity);
    paint(undone.key, undone.polarity, undone.shown, { who: "" });
    enqueue({
      kind: "undo", address: sheet.dataset.undo, undoes: undone, attribute: undone.attribute,
      key: undone.key, polarity: undone.polarity, name: undone.name, shown: undone.shown,
    });
    focusRow(rowOf(undone.key, undone.polarity) ?? row);
  }
};

const clearBad = () => {
  if (find("#saving").dataset.is === "bad") find("#saving").dataset.is = "";
};

const markDone = () => {
  clearBad();
  if (sheet.dataset.done !== "true") {
    marked.add(sheet.dataset.image);
    enqueue({ kind: "done", done: true, address: sheet.dataset.mark, name: sheet.dataset.name });
  }
  const following = sheet.dataset.undone;
  if (following && !marked.has(following.split("/").pop())) return go(following);
  sheet.dataset.done = "true";
  return say("All images are done.");
};

// Focus ---------------------------------------------------------------------------------------

const focusRow = (row) => {
  if (!row || !row.isConnected) return;
  const old = current();
  if (old && old !== row) {
    delete old.dataset.here;
    old.tabIndex = -1;
    for (const button of old.querySelectorAll("button")) button.tabIndex = -1;
  }
  row.dataset.here = "";
  row.tabIndex = 0;
  for (const button of row.querySelectorAll("button")) button.tabIndex = 0;
  if (!row.contains(document.activeElement)) row.focus({ preventScroll: true });
  row.scrollIntoView({ block: "nearest" });
  explain(row);
};

const explain = (row) => {
  const { polarity, name, opposite, relation } = row.dataset;
  const sign = polarity === "positive" ? "+" : "−";
  const flip = element("button", { type: "button", className: "small quiet", title: "The opposite holds (o)" });
  flip.textContent = `${polarity === "positive" ? "−" : "+"} ${opposite} instead`;
  flip.addEventListener("click", () => flipRow(row));
  const head = element("p", { className: "of" }, element("span", { textContent: `${sign} ${name}` }));
  if (relation === "opposed" && opposite) head.append(flip);
  const why = [...row.querySelectorAll(".why p")].map((each) => each.cloneNode(true));
  find("#focused").replaceChildren(head, ...why);
  find("#focused").scrollTop = 0;
};

const step = (by) => {
  const all = rows();
  const at = all.indexOf(current());
  focusRow(all[Math.max(0, Math.min(all.length - 1, at + by))]);
};

const nextUndecided = (from) => {
  const all = rows();
  const at = all.indexOf(from);
  const open = (row) => row.dataset.state === "proposed" && row !== from;
  const next = all.slice(at + 1).find(open) ?? all.find(open);
  focusRow(next ?? from);
};

const prepareRow = (row) => {
  row.tabIndex = -1;
  for (const button of row.querySelectorAll("button")) button.tabIndex = -1;
  row.querySelector("summary").tabIndex = -1;
};

// Adding --------------------------------------------------------------------------------------

let listed = [];
const known = () => listed;

const loadAttributes = () => {
  const from = sheet.dataset.attributes;
  if (!from || from === attributesFrom) return;
  attributesFrom = from;
  attributes = request(from)
    .then((answer) => answer.json())
    .then((body) => {
      listed = body.items;
    })
    .catch(() => {
      attributesFrom = "";
    });
};

const look = makeSearch({ keep: true });
let searching = Promise.resolve(); // Enter waits for what was typed before it

const search = () => {
  searching = showFound();
};

const showFound = async () => {
  const text = find("#add-words").value.trim();
  const list = find("#add-found");
  if (!text) {
    closeSearch();
    return;
  }
  let found = null;
  let none = "Nothing in the criteria holds these words.";
  try {
    found = await look(sheet.dataset.attributes, text);
    if (!found) return;
  } catch {
    none = "The server did not answer; type again.";
  }
  list.replaceChildren(...(found ?? []).map((each, at) => option(each, at)));
  if (!found?.length) list.append(element("li", { className: "none muted", textContent: none }));
  list.hidden = false;
  find("#add-words").setAttribute("aria-expanded", "true");
  choose(0);
};

const option = (each, at) => {
  const state = stateOf(each.key, each.polarity);
  const made = element(
    "li",
    { id: `add-${at}`, role: "option", title: each.definition },
    element("span", { className: `sign-small ${each.polarity}`, textContent: each.polarity === "positive" ? "+" : "−" }),
    element("span", { textContent: each.name }),
    element("span", { className: "muted small", textContent: state ?? "" }),
    element("span", { className: "path", textContent: each.path.join(" › ") }),
  );
  Object.assign(made.dataset, { key: each.key, polarity: each.polarity });
  return made;
};

const choose = (at) => {
  const options = [...sheet.querySelectorAll("#add-found [role=option]")];
  options.forEach((each, place) => each.setAttribute("aria-selected", String(place === at)));
  const chosen = options[at];
  chosen?.scrollIntoView({ block: "nearest" });
  if (chosen) find("#add-words").setAttribute("aria-activedescendant", chosen.id);
  else find("#add-words").removeAttribute("aria-activedescendant");
};

const chosenAt = () =>
  [...sheet.querySelectorAll("#add-found [role=option]")].findIndex((each) => each.ariaSelected === "true");

const closeSearch = () => {
  look.forget();
  find("#add-found").hidden = true;
  find("#add-words").setAttribute("aria-expanded", "false");
  find("#add-words").removeAttribute("aria-activedescendant");
};

const leaveSearch = () => {
  find("#add-words").value = "";
  closeSearch();
  const row = current() ?? rows()[0];
  if (row) focusRow(row);
  else find("#add-words").blur();
};

const openSearch = () => {
  find("#add-words").focus();
  find("#add-words").select();
};

const addFound = (chosen, stay) => {
  const { key, polarity } = chosen.dataset;
  clearBad();
  if (stateOf(key, polarity) !== "confirmed") act(key, polarity, "confirmed");
  const row = rowOf(key, polarity);
  row?.scrollIntoView({ block: "nearest" });
  row?.classList.add("fresh");
  if (stay) {
    find("#add-words").select();
    search();
    return;
  }
  if (!current() && row) row.dataset.here = "";
  leaveSearch();
  row?.scrollIntoView({ block: "nearest" });
};

const addWhenFound = async (stay) => {
  await Promise.all([searching, attributes]);
  const chosen = isOpen() ? options()[chosenAt()] : null;
  if (chosen) addFound(chosen, stay);
};

const options = () => [...sheet.querySelectorAll("#add-found [role=option]")];
const isOpen = () => !find("#add-found").hidden;

const moveChoice = (by) => {
  if (isOpen()) choose(Math.max(0, Math.min(chosenAt() + by, options().length - 1)));
  return isOpen();
};

onKeys(
  { Escape: leaveSearch, ArrowDown: () => moveChoice(1), ArrowUp: () => moveChoice(-1), Enter: (event) => void addWhenFound(event.shiftKey) },
  { field: "#add-words" },
);

// The image -----------------------------------------------------------------------------------

const isFull = () => find("#stage").classList.contains("full");

// Full size means one pixel of the picture on one pixel of the screen.
const zoom = (x = null, y = null) => {
  const stage = find("#stage");
  const picture = find("#painting");
  if (!picture.naturalWidth) return;
  const box = picture.getBoundingClientRect();
  const scale = Math.min(box.width / picture.naturalWidth, box.height / picture.naturalHeight);
  const part = (at, middle, length) => (at === null ? 0.5 : 0.5 + (at - middle) / (length * scale));
  const relativeX = part(x, box.left + box.width / 2, picture.naturalWidth);
  const relativeY = part(y, box.top + box.height / 2, picture.naturalHeight);
  const full = stage.classList.toggle("full");
  picture.style.width = full ? `${picture.naturalWidth / devicePixelRatio}px` : "";
  picture.style.height = full ? "auto" : "";
  if (!full) return;
  const now = picture.getBoundingClientRect();
  stage.scrollLeft = relativeX * now.width - stage.clientWidth / 2;
  stage.scrollTop = relativeY * now.height - stage.clientHeight / 2;
};

let drag = null;

document.addEventListener("pointerdown", (event) => {
  const stage = event.target instanceof Element && event.target.closest("#stage");
  if (!stage || event.button !== 0) return;
  if (event.pointerType === "mouse") event.preventDefault(); // the row keeps the focus
  drag = { x: event.clientX, y: event.clientY, left: stage.scrollLeft, top: stage.scrollTop, moved: false };
});
document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const stage = find("#stage");
  const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
  if (Math.hypot(x, y) > 4) drag.moved = true;
  if (!drag.moved || !isFull() || event.pointerType !== "mouse") return;
  stage.classList.add("dragging");
  stage.scrollLeft = drag.left - x;
  stage.scrollTop = drag.top - y;
});
document.addEventListener("pointerup", (event) => {
  if (!drag) return;
  find("#stage").classList.remove("dragging");
  if (!drag.moved) zoom(event.clientX, event.clientY);
  drag = null;
});
document.addEventListener("pointercancel", () => {
  drag = null;
});

// From image to image -------------------------------------------------------------------------

const load = async (address) => {
  const answer = await request(address, { headers: { Accept: "text/html" } });
  return new DOMParser().parseFromString(await answer.text(), "text/html");
};

const ahead = (address) => {
  if (!address || pages.has(address)) return;
  const page = load(address);
  pages.set(address, page);
  page.then(
    (loaded) => {
      // A picture made here, not one of the parsed page, is what the browser keeps decoded.
      new Image().src = loaded.getElementById("painting").getAttribute("src");
      setTimeout(() => pages.delete(address), 60_000);
    },
    () => pages.delete(address),
  );
};

const go = async (address, { push = true, quiet = false } = {}) => {
  if (!address || going) return;
  going = true;
  const waiting = queue.some((op) => address.startsWith(`${sheet.dataset.url}?`) || op.image === address.split("/").pop());
  try {
    const page = await (waiting || address === sheet.dataset.url ? load(address) : (pages.get(address) ?? load(address)));
    pages.delete(address);
    show(page, quiet);
    if (push) history.pushState(null, "", sheet.dataset.url);
    document.title = page.title;
  } catch (failed) {
    if (failed.isSignedOut && !queue.length) location.assign(address);
    else say(`The image could not be loaded. ${failed.message}`, "bad");
  } finally {
    going = false;
  }
};

const show = (page, quiet) => {
  const { textContent: text, dataset } = find("#saving");
  const is = dataset.is;
  const at = quiet ? current()?.id : null;
  const next = document.adoptNode(page.getElementById("labelling"));
  sheet.replaceWith(next);
  sheet = next;
  prepare();
  if (is === "bad") say(text, is);
  else if (queue.length) sayState();
  if (at) focusRow(document.getElementById(at));
};

// What was done here and is not saved yet, or not agreed on, is painted over what the server knows.
const repaint = async () => {
  const image = sheet.dataset.image;
  const mine = queue.filter((op) => op.image === image && op.key);
  const open = [...conflicts.keys()].filter((each) => each.startsWith(`${image}/`));
  if (!mine.length && !open.length) return;
  await attributes;
  for (const op of mine) {
    const state = op.kind === "undo" ? op.shown : op.state === "withdrawn" ? null : op.state;
    paint(op.key, op.polarity, state);
    if (failures) rowOf(op.key, op.polarity)?.setAttribute("data-unsaved", "");
  }
  for (const each of open) showConflict(...each.split("/").slice(1));
};

const prepare = () => {
  sheet.classList.add("scripted");
  rows().forEach(prepareRow);
  const words = find("#add-words");
  for (const [name, value] of Object.entries({
    role: "combobox", "aria-expanded": "false", "aria-controls": "add-found", "aria-autocomplete": "list",
  })) words.setAttribute(name, value);
  words.placeholder = "Add a label (a or /)";
  loadAttributes();
  window.htmx?.process(sheet);
  const all = rows();
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  focusRow((wanted && sheet.contains(wanted) && wanted) || all.find((row) => row.dataset.state === "proposed") || all[0]);
  repaint();
  ahead(sheet.dataset.undone);
  if (sheet.dataset.next !== sheet.dataset.undone) ahead(sheet.dataset.next);
};

document.addEventListener("htmx:afterSwap", (event) => {
  if (event.target.id === "history-entries") find("#history").scrollIntoView({ block: "start" });
});

addEventListener("popstate", () => go(location.pathname, { push: false }));

// Hands ---------------------------------------------------------------------------------------

const toggleSuggestions = () => {
  pages.clear(); // loaded ahead with the other answer
  return go(find("#suggestions").getAttribute("href"), { push: false });
};

const KEYS = {
  j: () => step(1),
  ArrowDown: () => step(1),
  k: () => step(-1),
  ArrowUp: () => step(-1),
  y: () => current() && confirmRow(current()),
  Enter: () => current() && confirmRow(current()),
  n: () => current() && rejectRow(current()),
  x: () => current() && rejectRow(current()),
  o: () => current() && flipRow(current()),
  a: openSearch,
  "/": openSearch,
  u: undoLast,
  d: markDone,
  "[": () => go(sheet.dataset.previous),
  ArrowLeft: () => go(sheet.dataset.previous),
  "]": () => go(sheet.dataset.next),
  ArrowRight: () => go(sheet.dataset.next),
  z: () => zoom(),
  s: toggleSuggestions,
  h: () => {
    const story = find("#history");
    story.open = !story.open;
  },
};

const { ArrowDown, ArrowUp, ArrowLeft, ArrowRight, ...others } = KEYS;
onKeys(others, { repeats: ["j", "k"] });
// A focused picture is moved by the arrows.
onKeys({ ArrowDown, ArrowUp, ArrowLeft, ArrowRight }, { except: "#stage" });

document.addEventListener("input", (event) => {
  if (event.target.id !== "add-words") return;
  search();
});

document.addEventListener("focusin", (event) => {
  const row = event.target.closest("li.label");
  if (row && row !== current()) focusRow(row);
  if (event.target.id !== "add-words" && !event.target.closest("#add-found")) closeSearch();
});

document.addEventListener("mousedown", (event) => {
  if (event.target.closest("#add-found")) event.preventDefault(); // the search box keeps the focus
});

document.addEventListener("click", (event) => {
  const target = event.target;
  const chosen = target.closest("#add-found [role=option]");
  if (chosen) return addFound(chosen, event.shiftKey);
  if (target.closest(".label summary")) {
    event.preventDefault();
    return focusRow(target.closest("li.label"));
  }
  if (target.closest("li.label") && !target.closest("button, a")) return focusRow(target.closest("li.label"));
  if (event.ctrlKey || event.metaKey || event.shiftKey) return undefined;
  const link = target.closest("#labelling a[rel=prev], #labelling a[rel=next]");
  if (link) {
    event.preventDefault();
    return go(link.getAttribute("href"));
  }
  if (target.closest("#suggestions")) {
    event.preventDefault();
    return toggleSuggestions();
  }
  return undefined;
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  const row = form.closest("li.label");
  if (row) {
    event.preventDefault();
    const isYes = form.elements.state.value === "confirmed";
    isYes ? confirmRow(row) : rejectRow(row);
  } else if (form.id === "done") {
    event.preventDefault();
    markDone();
  } else if (form.id === "undo") {
    event.preventDefault();
    undoLast();
  } else if (form.id === "add") {
    event.preventDefault();
  }
});

prepare();
