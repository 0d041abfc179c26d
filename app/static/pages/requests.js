// Requests that fail: all are sent from scripts here, and those that htmx sends are heard of
// (uploads: sending.js, news: news.js). What failed is said where it was asked for; what was typed stays.

import { isUnsaved } from "./unsaved.js";

const SECONDS = 30;
const PASSING = new Set([0, 401, 408, 425, 429, 500, 502, 503, 504, 507]);

export const signInOf = (address) => {
  if (!address) return null;
  const place = new URL(address, location.href);
  return place.pathname.endsWith("/sign-in") ? place : null;
};

// What went wrong in words. `status` is 0 where no answer came, 401 where one is signed out. What is
// passing may be sent again as it is.
export class Failed extends Error {
  constructor(status, { detail = "", hint = "", body = {}, wait = null, isLate = false } = {}) {
    super([detail || Failed.sentence(status, isLate), hint, Failed.way(status, wait)].filter(Boolean).join(" "));
    Object.assign(this, { status, body, wait });
  }

  static sentence(status, isLate) {
    if (status === 0 && isLate) return "The server did not answer in time.";
    if (status === 0) return navigator.onLine ? "The server could not be reached." : "There is no connection to the network.";
    if (status === 401) return "You are signed out.";
    if (status === 403) return "This is not allowed.";
    if (status === 404) return "This is not there any more.";
    if (status === 413) return "This is more than the server takes at once.";
    if (status === 429) return "The server was asked too often.";
    if (status === 507) return "The server's disk is full.";
    return `The server answered with an error (${status}).`;
  }

  static way(status, wait) {
    if (status === 401) return "Sign in, then try again.";
    if (status === 429 && wait) return `Try again in ${wait} s.`;
    return PASSING.has(status) ? "Please try again." : "";
  }

  get isPassing() {
    return PASSING.has(this.status);
  }

  get isSignedOut() {
    return this.status === 401;
  }
}

const secondsOf = (header) => (/^\d+$/.test(header ?? "") ? Number(header) : null);

const failedWith = async (answer) => {
  const type = answer.headers.get("Content-Type") ?? "";
  const wait = secondsOf(answer.headers.get("Retry-After"));
  const body = type.includes("json") ? await answer.json().catch(() => ({})) : {};
  return new Failed(answer.status, { detail: body.detail, hint: body.hint, body, wait });
};

// Like fetch, but what is no success is thrown as Failed. `json` is sent as the body.
export const request = async (address, { json, headers = {}, seconds = SECONDS, ...more } = {}) => {
  const body = json === undefined ? {} : { body: JSON.stringify(json) };
  const kind = json === undefined ? {} : { "Content-Type": "application/json" };
  let answer;
  try {
    answer = await fetch(address, {
      credentials: "same-origin",
      signal: AbortSignal.timeout(seconds * 1000),
      ...more, ...body, headers: { ...kind, ...headers },
    });
  } catch (error) {
    throw new Failed(0, { isLate: error.name === "TimeoutError" });
  }
  if (answer.redirected && signInOf(answer.url)) throw new Failed(401);
  if (!answer.ok) throw await failedWith(answer);
  sayCurrent();
  return answer;
};

// Saying it ---

const notice = (words, { kind = "bad", link = null } = {}) => {
  const box = document.createElement("div");
  box.className = `notice ${kind} failed`;
  box.setAttribute("role", "alert");
  const text = document.createElement("p");
  text.textContent = words;
  if (link) {
    const way = Object.assign(document.createElement("a"), { href: link, target: "_blank", rel: "noopener", textContent: "Sign in in a new tab" });
    text.append(" ", way);
  }
  box.append(text);
  return box;
};

const unsay = (place) => {
  for (const each of place?.querySelectorAll?.(":scope > .failed") ?? []) each.remove();
};

const closing = (box) => {
  const close = Object.assign(document.createElement("button"), { type: "button", className: "small quiet", textContent: "Close" });
  close.addEventListener("click", () => box.remove());
  box.append(close);
  return box;
};

const messages = () => document.getElementById("messages");

// Says that a request failed: in the form that sent it, otherwise at the window's edge.
export const sayFailed = (failed, { form = null, isWrite = false, signIn = null } = {}) => {
  const lost = isWrite ? "Not saved. " : "";
  const kept = isWrite && form ? " What you entered is still here." : "";
  const link = failed.isSignedOut ? (signIn ?? messages()?.dataset.signIn ?? null) : null;
  const box = notice(`${lost}${failed.message}${kept}`, { link });
  const place = form?.isConnected ? form : messages();
  unsay(place);
  place?.append(place === form ? box : closing(box));
  if (place === form) box.scrollIntoView({ block: "nearest" });
};

const STALE = "This page could not be brought up to date. Trying again …";

// What a page asks for by itself, again and again, is said once and taken back with the next answer.
export const sayStale = () => {
  if (messages()?.querySelector(".stale")) return;
  const box = notice(STALE, { kind: "warning" });
  box.classList.add("stale");
  messages()?.append(box);
};

const sayCurrent = () => messages()?.querySelector(".stale")?.remove();

// htmx ---

const isRead = (detail) => detail.requestConfig?.verb === "get";
const isByItself = (detail) => isRead(detail) && detail.elt?.getAttribute("hx-trigger")?.includes("every ");
const formOf = (detail) => (isRead(detail) ? null : detail.elt?.closest?.("form"));

export const failedOf = (xhr) => {
  const page = new DOMParser().parseFromString(xhr.responseText ?? "", "text/html");
  const told = page.querySelector("[role=alert]");
  const [detail, hint] = [...(told?.querySelectorAll("p") ?? [])].map((each) => each.textContent.trim());
  return new Failed(xhr.status, { detail, hint, wait: secondsOf(xhr.getResponseHeader("Retry-After")) });
};

const told = (event, failed, signIn = null) => {
  const { detail } = event;
  if (isByItself(detail) && failed.isPassing) return sayStale();
  return sayFailed(failed, { form: formOf(detail), isWrite: !isRead(detail), signIn });
};

const isUpload = (config) => config.elt?.enctype === "multipart/form-data" || config.headers?.["Content-Type"] === "multipart/form-data";

document.addEventListener("htmx:beforeRequest", (event) => {
  const { requestConfig, xhr } = event.detail;
  // An upload takes as long as it takes; everything else has an end, so that its failing can be said.
  if (!isUpload({ ...requestConfig, elt: event.detail.elt }) && !xhr.timeout) xhr.timeout = SECONDS * 1000;
  unsay(formOf(event.detail));
});

document.addEventListener("htmx:beforeOnLoad", (event) => {
  const { xhr } = event.detail;
  const signIn = signInOf(xhr.getResponseHeader("HX-Redirect"));
  if (!signIn || (isRead(event.detail) && !isUnsaved())) return;
  // Going there now would lose what was typed.
  event.preventDefault();
  told(event, new Failed(401), `${signIn.pathname}?next=${encodeURIComponent(location.pathname + location.search)}`);
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { xhr, isError, elt } = event.detail;
  // A form is shown again with what is wrong in it; an answer without the form must not take its place.
  const isRefusal = xhr.status >= 400 && elt?.matches?.("form") && !/<form\b/.test(xhr.responseText);
  if (!isError && !isRefusal) return;
  event.detail.shouldSwap = false;
  if (!isError) told(event, failedOf(xhr));
});

document.addEventListener("htmx:responseError", (event) => told(event, failedOf(event.detail.xhr)));
document.addEventListener("htmx:sendError", (event) => told(event, new Failed(0)));
document.addEventListener("htmx:timeout", (event) => told(event, new Failed(0, { isLate: true })));
document.addEventListener("htmx:afterRequest", (event) => {
  if (event.detail.successful) sayCurrent();
});

// What no caller caught.
addEventListener("unhandledrejection", (event) => {
  if (!(event.reason instanceof Failed)) return;
  event.preventDefault();
  sayFailed(event.reason);
});
