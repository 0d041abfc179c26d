// What others change in the criteria arrives in the tree, while one's own hands are left alone: a form that is
// open, the line one is on, what is unfolded. Text goes into its line; anything wider brings the tree anew.

import { Failed, request } from "./requests.js";

const EVERY = 3000;
const SHOWN = 8000;
const TEXTS = new Set(["renamed", "described"]);

const fragment = async (address, whole = false) => {
  const answer = await request(address, { headers: whole ? {} : { "HX-Request": "true" } });
  return new DOMParser().parseFromString(await answer.text(), "text/html");
};

// `hands`: what the page's own script knows and does.
export const listen = (tree, hands) => {
  let known = Number(tree.dataset.revision);
  const told = document.getElementById("arrived");

  const say = (changes) => {
    const first = changes[0];
    const more = changes.length > 1 ? ` (and ${changes.length - 1} more)` : "";
    told.textContent = `${first.by ?? "The system"}: ${first.sentence}${more}`;
    setTimeout(() => (told.textContent = ""), SHOWN);
  };

  const mark = (key) => {
    const link = tree.querySelector(`a.names[data-key="${CSS.escape(key)}"]`);
    link?.classList.add("has-arrived");
    setTimeout(() => link?.classList.remove("has-arrived"), SHOWN);
  };

  const renewLine = async (key) => {
    const link = tree.querySelector(`a.names[data-key="${CSS.escape(key)}"]`);
    const line = link?.closest(".node");
    if (!line) return;
    const page = await fragment(`${tree.dataset.base}/nodes/${key}/row`);
    const fresh = page.querySelector(".node");
    const freshLink = fresh.querySelector("a.names");
    if (!link.hasAttribute("aria-current")) freshLink.removeAttribute("aria-current");
    const had = document.activeElement === link;
    line.replaceWith(document.adoptNode(fresh));
    window.htmx.process(fresh);
    hands.replaced(link, freshLink, had);
  };

  const renewTree = async () => {
    const page = await fragment(location.href, true);
    const fresh = page.getElementById("tree");
    if (!fresh) return;
    const open = new Set([...tree.querySelectorAll("details[open]")].map((each) => each.id));
    for (const each of fresh.querySelectorAll("details")) each.open = open.has(each.id) || each.open;
    const old = tree.querySelector(":scope > ul");
    const had = tree.contains(document.activeElement);
    const list = document.adoptNode(fresh.querySelector(":scope > ul"));
    old.replaceWith(list);
    window.htmx.process(list);
    hands.renewed(had);
  };

  const show = async (changes) => {
    const texts = changes.every((each) => each.key && TEXTS.has(each.kind));
    if (texts) for (const key of new Set(changes.map((each) => each.key))) await renewLine(key);
    else await renewTree();
    for (const each of changes) if (each.key) mark(each.key);
    hands.changed(new Set(changes.map((each) => each.key)));
  };

  const look = async () => {
    // An open form in the tree, or a filter, would be lost: what came is shown once it is gone.
    if (document.hidden || hands.isBusy()) return;
    const answer = await request(`${tree.dataset.news}?after=${known}&limit=100`);
    const { items } = await answer.json();
    if (!items.length || hands.isBusy()) return;
    await show(items);
    known = items[0].revision;
    const theirs = items.filter((each) => each.by !== tree.dataset.me);
    if (theirs.length) say(theirs);
  };

  const goOn = async () => {
    try {
      await look();
    } catch (failed) {
      // Nobody asked for this; what one does oneself says when it fails.
      if (!(failed instanceof Failed)) throw failed;
    } finally {
      setTimeout(goOn, EVERY);
    }
  };
  setTimeout(goOn, EVERY);
};
