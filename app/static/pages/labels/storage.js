// What this browser keeps for one person: actions that the server has not acknowledged, by tab, and what
// tab and what sitting this is. A browser may forbid storage; then all of it lasts as long as the page.

const person = document.getElementById("labelling").dataset.person;
const session = document.getElementById("labelling").dataset.session;
const LIST = `morelli-unsent/${person}/`;
const ANSWER_MS = 250;

export const newId = () => {
  if (crypto.randomUUID) return crypto.randomUUID();
  // crypto.randomUUID is missing on plain http in a local network.
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  const hex = [...bytes].map((each) => each.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
};

const attempt = (does) => {
  try {
    return does();
  } catch {
    return null;
  }
};

const ofTab = (name, make) => {
  const kept = attempt(() => JSON.parse(sessionStorage.getItem(name)));
  const value = make(kept);
  attempt(() => sessionStorage.setItem(name, JSON.stringify(value)));
  return value;
};

// One piece of work at one tab: loading the page again keeps it, signing out ends it.
export const sitting = ofTab("morelli-sitting", (kept) => (kept?.session === session ? kept : { id: newId(), session })).id;

let tab = ofTab("morelli-tab", (kept) => kept ?? newId());

export const keep = (operations) =>
  attempt(() => {
    if (operations.length) localStorage.setItem(LIST + tab, JSON.stringify(operations));
    else localStorage.removeItem(LIST + tab);
  });

// Tabs that live answer to a call, so that what others left behind can be told from what they still send.
const line = "BroadcastChannel" in window ? new BroadcastChannel(`morelli-tabs/${person}`) : null;
const alive = new Set();
const me = newId();

line?.addEventListener("message", ({ data }) => {
  if (data.asks && data.asks !== me) line.postMessage({ tab, of: me });
  if (data.tab && data.of !== me) alive.add(data.tab);
});

const readOf = (name) => attempt(() => JSON.parse(localStorage.getItem(name))) ?? [];

// What this tab did not get acknowledged before it was loaded again.
export const left = readOf(LIST + tab);

const listed = () => attempt(() => Object.keys(localStorage).filter((name) => name.startsWith(LIST))) ?? [];

// What tabs that were closed or killed left behind, which is this tab's from now on. Sending one twice is
// harmless: the server knows it by its id.
export const takeOver = async () => {
  line?.postMessage({ asks: me });
  await new Promise((resolve) => setTimeout(resolve, ANSWER_MS));
  // A duplicated tab has the number of the one it comes from.
  if (alive.has(tab)) tab = ofTab("morelli-tab", newId);
  const orphans = listed().filter((name) => name !== LIST + tab && !alive.has(name.slice(LIST.length)));
  const taken = orphans.flatMap(readOf);
  for (const name of orphans) attempt(() => localStorage.removeItem(name));
  return taken;
};

export const isOn = (name) => attempt(() => localStorage.getItem(name)) !== "off";
export const switchTo = (name, on) => attempt(() => localStorage.setItem(name, on ? "on" : "off"));
