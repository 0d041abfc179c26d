// From image to image, without loading the page: the next ones are brought ahead.

import { request } from "../requests.js";
import { closeSearch, prepareSearch } from "./adding.js";
import { loadAttributes } from "./attributes.js";
import { markImage, repaint } from "./deciding.js";
import { focusRow, prepareRow, watchList } from "./focus.js";
import { preparePicture } from "./picture.js";
import { enqueue, isImageWaiting, isWaiting, resume, sayState, settledOf } from "./queue.js";
import { clearBad, current, exchange, find, here, imageHere, imageOf, isHidden, rows, say } from "./sheet.js";
import { isOn, switchTo } from "./storage.js";

const ASK = "morelli-ask-undecided";
const KEPT_MS = 60_000;

const pages = new Map(); // address -> promise of a page loaded ahead
const marked = new Set(); // images marked as done in this tab
let going = false;

export const unmark = (image) => marked.delete(image);

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
      // A picture made here, not one of the parsed page, is what the browser keeps decoded.
      new Image().src = loaded.getElementById("painting").getAttribute("src");
      setTimeout(() => pages.delete(address), KEPT_MS);
    },
    () => pages.delete(address),
  );
};

const bring = (address) => {
  const isChanged = isImageWaiting(imageOf(address)) || imageOf(address) === imageHere() || marked.has(imageOf(address));
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
  if (page.wasAhead && !isHidden() && rows().some((row) => row.dataset.source === "agent")) {
    enqueue({ kind: "shown", address: here().dataset.shown });
  }
  if (is === "bad") say(text, is);
  else if (isWaiting() || text) sayState();
  if (at) focusRow(document.getElementById(at));
};

const prepare = () => {
  here().classList.add("scripted");
  rows().forEach(prepareRow);
  prepareSearch();
  preparePicture();
  loadAttributes();
  window.htmx?.process(here());
  const all = rows();
  const wanted = location.hash && document.getElementById(location.hash.slice(1));
  focusRow((wanted && here().contains(wanted) && wanted) || all.find((row) => row.dataset.state === "proposed") || all[0]);
  watchList();
  repaint();
  const { undone, next } = here().dataset;
  ahead(undone);
  if (next !== undone) ahead(next);
};

export const start = async () => {
  prepare();
  if (await resume()) repaint();
};

export const toggleSuggestions = () => {
  pages.clear(); // loaded ahead with the other answer
  return go(find("#suggestions").getAttribute("href"), { push: false });
};

// Done ----------------------------------------------------------------------------------------

const asking = document.getElementById("undecided");
const undecided = () => rows().filter((row) => row.dataset.state === "proposed");

const isAsked = () => {
  if (here().dataset.done === "true" || !undecided().length || !isOn(ASK)) return false;
  const number = undecided().length;
  asking.querySelector("#num-undecided").textContent = `${number} ${number === 1 ? "label is" : "labels are"} undecided.`;
  asking.returnValue = "";
  asking.showModal();
  return true;
};

const finish = () => {
  clearBad();
  closeSearch();
  if (here().dataset.done !== "true") {
    marked.add(imageHere());
    markImage();
  }
  const following = here().dataset.undone;
  if (following && !marked.has(imageOf(following))) return go(following);
  here().dataset.done = "true";
  return say(here().dataset.filtered ? "All images of this choice are done." : "All images are done.");
};

export const markDone = () => (isAsked() ? undefined : finish());
export const finishAnyway = () => asking.close("finish");

asking.addEventListener("close", () => {
  if (asking.querySelector("#ask-no-more").checked) switchTo(ASK, false);
  showChoice();
  if (asking.returnValue === "finish") finish();
  else focusRow(undecided()[0]);
});

const choice = document.getElementById("ask-undecided");
const showChoice = () => {
  choice.checked = isOn(ASK);
  asking.querySelector("#ask-no-more").checked = !isOn(ASK);
};
choice.addEventListener("change", () => {
  switchTo(ASK, choice.checked);
  showChoice();
});
showChoice();

addEventListener("popstate", () => go(location.pathname + location.search, { push: false }));
