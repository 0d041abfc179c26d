// Text that was typed and is not saved: the only place that knows of it, for every form of every page.
// It asks before the text would be lost, and brings back what a form sent in vain.

import { inTab } from "./kept.js";

const KEEP = "morelli-typed";
const ASK = "What you typed is not saved. Leave it?";
const TEXT = "textarea, input:not([type]), input:is([type=text], [type=email], [type=url], [type=number], [type=tel])";

const guards = [];
let sent = null; // the form on its way to the server, which the page may be left for

const fieldsOf = (form) => [...form.elements].filter((each) => each.matches(TEXT) && !each.readOnly && !each.disabled);

// Searching changes nothing, and passwords are not kept.
const isGuarded = (form) =>
  form.getAttribute("method")?.toLowerCase() === "post" && !form.querySelector("input[type=password]") && !("unguarded" in form.dataset);

// A form that came back with what is wrong holds what was typed as if it were its own.
const cameBack = (form) => "typed" in form.dataset || form.querySelector("[aria-invalid=true], [role=alert]:not(.failed)") !== null;

const isDirty = (form) =>
  form !== sent && isGuarded(form) &&
  fieldsOf(form).some((each) => each.value !== each.defaultValue || (cameBack(form) && each.value.trim() !== ""));

const dirtyIn = (place) => {
  const inside = [...(place?.querySelectorAll?.("form") ?? [])];
  const around = place?.closest?.("form");
  return (around ? [around, ...inside] : inside).filter(isDirty);
};

// Whether something below `place` is typed and not saved.
export const isUnsaved = (place = document) => dirtyIn(place).length > 0;

// Asks where text would be lost; true where one may go on.
export const mayLeave = (place = document) => !isUnsaved(place) || window.confirm(ASK);

// Lets a page name more that is not saved, such as a queue of actions.
export const guard = (isWaiting) => guards.push(isWaiting);

addEventListener("beforeunload", (event) => {
  if (isUnsaved() || guards.some((isWaiting) => isWaiting())) event.preventDefault();
});

// htmx ---

const isOwn = (form, { elt }) => form.contains(elt);

const onRequest = (event) => {
  const { detail } = event;
  const dirty = dirtyIn(detail.target);
  if (dirty.some((form) => isOwn(form, detail))) {
    // A choice inside the form brings the form anew with what was typed; Cancel is meant.
    if (!detail.elt.closest("[data-cancel]")) detail.xhr.carries = true;
    return;
  }
  if (!dirty.length) return;
  const isMeant = !detail.elt.getAttribute("hx-trigger")?.includes("every ");
  if (isMeant && window.confirm(ASK)) return;
  event.preventDefault();
  event.stopImmediatePropagation();
};

const onDone = (event) => {
  const { elt, requestConfig, successful } = event.detail;
  const form = elt.matches?.("form") && elt.isConnected && requestConfig?.triggeringEvent?.type === "submit" ? elt : null;
  if (!successful || !form) return;
  delete form.dataset.typed;
  for (const each of fieldsOf(form)) each.defaultValue = each.value;
};

document.addEventListener("htmx:beforeRequest", onRequest, true);
document.addEventListener("htmx:afterRequest", onDone);
document.addEventListener("htmx:afterSwap", (event) => {
  const { xhr, requestConfig, elt } = event.detail;
  if (!xhr?.carries || requestConfig?.triggeringEvent?.type === "submit") return;
  const forms = elt?.matches?.("form") ? [elt] : (elt?.querySelectorAll?.("form") ?? []);
  for (const form of forms) form.dataset.typed = "";
});
// A change elsewhere brings other parts of the page with it; one that is being written in stays.
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  if (isUnsaved(event.detail.target)) event.detail.shouldSwap = false;
});

// Plain forms ---

const here = () => location.pathname + location.search;
const pathOf = (form) => new URL(form.getAttribute("action") || location.href, location.href).pathname;

const keep = (draft) => (draft ? inTab.write(KEEP, draft) : inTab.remove(KEEP));

addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || !isGuarded(form)) return;
  sent = form;
  const texts = fieldsOf(form).filter((each) => each.name).map((each) => [each.name, each.value]);
  if (texts.length) keep({ page: here(), action: pathOf(form), texts });
});

addEventListener("input", (event) => {
  if (event.target.form === sent) sent = null;
});
addEventListener("pageshow", () => {
  sent = null;
});

const formFor = (draft) => [...document.forms].find((each) => isGuarded(each) && pathOf(each) === draft.action);

const say = (place, words, link = null) => {
  const text = Object.assign(document.createElement("p"), { className: "notice warning", textContent: words });
  text.setAttribute("role", "status");
  if (link) text.append(" ", Object.assign(document.createElement("a"), { href: link, textContent: "Back to what you typed" }));
  place.prepend(text);
};

const restore = (draft, form) => {
  const fields = fieldsOf(form);
  for (const [name, value] of draft.texts) {
    const field = fields.find((each) => each.name === name);
    if (field) field.value = value;
    form.closest("details")?.setAttribute("open", "");
  }
  if (isUnsaved(form)) say(form, "What you typed was not saved. It is back; please send it again.");
};

// A form that arrived is answered by a redirect, or by a page at its own address, which may hold the form again:
// as it was sent where something is wrong with it (422), or for the next one.
const hasArrived = (draft, form) => {
  const came = performance.getEntriesByType("navigation")[0];
  if (!came || draft.isInVain || came.type !== "navigate") return false;
  const status = came.responseStatus || 200;
  const isAnswer = document.documentElement.dataset.answers === "post" && new URL(came.name).pathname === draft.action;
  return (isAnswer && form && status === 422) || (status < 400 && (isAnswer || came.redirectCount > 0));
};

// What a form sent is kept until a page says that it arrived. It comes back with the form where the server
// was away, answered with an error, or asked to sign in first.
const settle = () => {
  const draft = inTab.read(KEEP);
  if (!draft) return;
  const form = formFor(draft);
  const next = document.querySelector('form[action$="/sign-in"] input[name=next]');
  if (next) next.value = draft.page;
  else if (hasArrived(draft, form)) return keep(null);
  else if (form && here() === draft.page) {
    restore(draft, form);
    return keep(null);
  } else say(document.getElementById("main"), "What you sent last was not saved.", draft.page);
  return keep({ ...draft, isInVain: true });
};
settle();
