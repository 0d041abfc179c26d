// What others change in the criteria arrives in the tree, while one's own hands are left alone: a form that is
// open, the line one is on, what is unfolded. Text goes into its line; anything wider brings the tree anew.

import { lineWith } from "./criteria_lines.js";
import { Failed, request } from "./requests.js";

const EVERY = 3000;
const SHOWN = 8000;
const TEXTS = new Set(["renamed", "described"]);

const fragment = async (address, whole = false) => {
  const answer = await request(address, { headers: whole ? {} : { "HX-Request": "true" } });
  return new DOMParser().parseFromString(await answer.text(), "text/html");
};

// `hands`: what the page's own script knows and does. The result looks at once (`look`), and says a sentence (`tell`).
export const listen = (tree, hands) => {
  let known = Number(tree.dataset.revision);
  const told = document.getElementById("arrived");

  let forgetting = 0;
  const tell = (sentence) => {
    told.textContent = sentence;
    clearTimeout(forgetting);
    forgetting = setTimeout(() => (told.textContent = ""), SHOWN);
  };

  const say = (changes) => {
    const first = changes[0];
    const more = changes.length > 1 ? ` (and ${changes.length - 1} more)` : "";
    tell(`${first.by ?? "The system"}: ${first.sentence}${more}`);
  };

  const mark = (key) => {
    const link = lineWith(tree, key);
    link?.classList.add("has-arrived");
    setTimeout(() => link?.classList.remove("has-arrived"), SHOWN);
  };

  const renewLine = async (key) => {
    const link = lineWith(tree, key);
    const line = link?.closest(".node");
    if (!line) return;
    const page = await fragment(`${tree.dataset.base}/nodes/${key}/row`);
    if (!line.isConnected) return;
    const fresh = page.querySelector(".node");
    const freshLink = fresh.querySelector("a.names");
    if (!link.hasAttribute("aria-current")) freshLink.removeAttribute("aria-current");
    const had = document.activeElement === link;
    line.replaceWith(document.adoptNode(fresh));
    window.htmx.process(fresh);
    hands.replaced(link, freshLink, had);
  };

  const renewTree = async () => {
    // Not the page of the line one is on, which may have left the tree.
    const page = await fragment(tree.dataset.base, true);
    const fresh = page.getElementById("tree");
    if (fresh) await hands.bring(hands.open(), fresh);
    // What was begun meanwhile would be lost with the line it was begun in.
    if (!fresh || hands.isBusy()) return false;
    const was = new Map([...tree.querySelectorAll("details")].map((each) => [each.id, each.open]));
    for (const each of fresh.querySelectorAll("details")) each.open = was.get(each.id) ?? each.open;
    const old = tree.querySelector(":scope > ul");
    const had = tree.contains(document.activeElement);
    // Chosen while the new tree was on its way, which therefore may not know of it.
    const chosen = tree.querySelector("a.names[aria-current]")?.dataset.key;
    const list = document.adoptNode(fresh.querySelector(":scope > ul"));
    old.replaceWith(list);
    window.htmx.process(list);
    hands.renewed(had, chosen);
    return true;
  };

  const show = async (changes) => {
    const texts = changes.every((each) => each.key && TEXTS.has(each.kind));
    if (texts) for (const key of new Set(changes.map((each) => each.key))) await renewLine(key);
    else if (!(await renewTree())) return false;
    for (const each of changes) if (each.key) mark(each.key);
    hands.changed(new Set(changes.map((each) => each.key)));
    return true;
  };

  const look = async () => {
    // An open form in the tree, or a filter, would be lost: what came is shown once it is gone.
    if (document.hidden || hands.isBusy()) return;
    const answer = await request(`${tree.dataset.news}?after=${known}&limit=100`);
    const { items } = await answer.json();
    if (!items.length || hands.isBusy()) return;
    if (!(await show(items))) return;
    known = items[0].revision;
    const theirs = items.filter((each) => each.by !== tree.dataset.me);
    if (theirs.length) say(theirs);
  };

  let next = 0;
  let isLooking = false;
  const goOn = async () => {
    if (isLooking) return;
    isLooking = true;
    clearTimeout(next);
    try {
      await look();
    } catch (failed) {
      // Nobody asked for this; what one does oneself says when it fails.
      if (!(failed instanceof Failed)) throw failed;
    } finally {
      isLooking = false;
      next = setTimeout(goOn, EVERY);
    }
  };
  next = setTimeout(goOn, EVERY);
  return { look: goOn, tell };
};
