// From image to image, without loading the page: the next ones are brought ahead.

import { request } from "../requests.js";
import { focusRow } from "./focus.js";
import { enqueue, isImageWaiting, isWaiting, sayState, settledOf } from "./saving.js";
import { current, exchange, find, here, imageHere, imageOf, isHidden, rows, say } from "./sheet.js";

const KEPT_MS = 60_000;

const pages = new Map(); // address -> promise of a page loaded ahead
let going = false;
let prepare = () => {};

// `ready` makes a sheet that has just come work: said once, by the page that puts all parts together.
export const onSheet = (ready) => {
  prepare = ready;
};

const load = async (address, headers = {}) => {
  const settled = settledOf(imageOf(address));
  const answer = await request(address, { headers: { Accept: "text/html", ...headers } });
  const page = new DOMParser().parseFromString(await answer.text(), "text/html");
  return Object.assign(page, { settled });
};

const ahead = (address) => {
  if (!address || pages.has(address)) return;
  // What is loaded ahead has not been seen; the server is told when it is.
  const page = load(address, { "X-Morelli-Ahead": "1" }).then((loaded) => {
    loaded.wasAhead = true;
    return loaded;
  });
  pages.set(address, page);
  page.then(
    (loaded) => {
      // What is made here, not in the parsed page, the browser keeps decoded.
      const { src } = loaded.getElementById("painting");
      Object.assign(new Image(), { src }).decode().catch(() => {});
      setTimeout(() => pages.delete(address), KEPT_MS);
    },
    () => pages.delete(address),
  );
};

const bring = (address) => {
  const isChanged = isImageWaiting(imageOf(address)) || imageOf(address) === imageHere();
  return isChanged ? load(address) : (pages.get(address) ?? load(address));
};

// What was answered while a page was on its way is not in it.
const bringFresh = async (address) => {
  let page = await bring(address);
  while (page.settled !== settledOf(imageOf(address))) page = await load(address);
  return page;
};

export const go = async (address, { push = true, quiet = false } = {}) => {
  if (!address || going) return;
  going = true;
  try {
    const page = await bringFresh(address);
    pages.delete(address);
    show(page, quiet);
    if (push) history.pushState(null, "", here().dataset.url);
    document.title = page.title;
  } catch (failed) {
    if (failed.isSignedOut && !isWaiting()) location.assign(address);
    else say(`The image could not be loaded. ${failed.message}`, "bad");
  } finally {
    going = false;
  }
};

const show = (page, quiet) => {
  const { textContent: text, dataset } = find("#saving");
  const is = dataset.is;
  const at = quiet ? current()?.id : null;
  exchange(document.adoptNode(page.getElementById("labelling")));
  prepare();
  if (page.wasAhead && !isHidden() && rows().some((row) => row.dataset.source !== "person")) {
    enqueue({ kind: "shown", address: here().dataset.shown });
  }
  if (is === "bad") say(text, is);
  else if (isWaiting() || text) sayState();
  if (at) focusRow(document.getElementById(at));
};

export const loadAhead = () => {
  const { undone, next } = here().dataset;
  ahead(undone);
  if (next !== undone) ahead(next);
};

export const toggleSuggestions = () => {
  const link = find("#suggestions");
  if (!link) return undefined;
  pages.clear(); // loaded ahead with the other answer
  return go(link.getAttribute("href"), { push: false });
};

addEventListener("popstate", () => go(location.pathname + location.search, { push: false }));
