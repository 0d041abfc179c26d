// Judging by keyboard. Each answer is sent at once; what could not be sent is kept in this browser and
// tried again. Without this script every button is a plain form.

import { onKeys } from "./keys.js";
import { request } from "./requests.js";
import { guard } from "./unsaved.js";

const page = document.querySelector("[data-judging]");
const forms = [...page.querySelectorAll("form[data-item]")];
const next = document.getElementById("next");
const previous = document.getElementById("previous");
const wall = document.getElementById("wall");
const ANSWERS = { 1: "appears", a: "appears", 2: "does_not_appear", d: "does_not_appear", 3: "cannot_tell", c: "cannot_tell" };
const STORE = `audit-answers-${page.dataset.seat}`;
const TIMEOUT = 15;
const LONGEST_WAIT = 15000;

// Saying how it stands -------------------------------------------------------------------------

const saved = document.getElementById("saved");

const say = (words, kind = "") => {
  saved.className = kind;
  if (saved.textContent !== words) saved.textContent = words;
};

const showProgress = ({ answered }) => {
  document.getElementById("answered").textContent = answered;
  document.getElementById("progress").value = answered;
};

const showAnswer = (form, answer) => {
  form.dataset.answer = answer;
  for (const button of form.querySelectorAll("button[name=answer]")) {
    button.setAttribute("aria-pressed", String(button.value === answer));
  }
  next.classList.toggle("primary", forms.every((each) => each.dataset.answer));
};

// The queue of answers: item id -> {answer, basedOn, kept} --------------------------------------

const queue = new Map();
let sending = null;
let refused = false;

const keepQueue = () => {
  try {
    if (queue.size) localStorage.setItem(STORE, JSON.stringify([...queue]));
    else localStorage.removeItem(STORE);
  } catch {
    // A browser may forbid storage; then the answers wait in this page only.
  }
};

const put = (item, { answer, basedOn }) =>
  request(`${page.dataset.items}/${item}`, {
    method: "PUT", json: { answer, based_on: basedOn }, keepalive: true, seconds: TIMEOUT,
  });

const formOf = (item) => forms.find((form) => form.dataset.item === String(item));

const settle = (item, sent, revision) => {
  const form = formOf(item);
  if (form) form.dataset.revision = revision;
  const waiting = queue.get(item);
  // Answered again while this one was under way: the newer answer stays queued, on top of this one.
  if (waiting === sent) queue.delete(item);
  else if (waiting) waiting.basedOn = revision;
};

const settleStale = (item, sent, standing) => {
  // Kept from an earlier visit: whatever was answered since is newer. Given just now: it is the newest.
  if (sent.kept) {
    queue.delete(item);
    const form = formOf(item);
    if (form) {
      form.dataset.revision = standing.revision;
      showAnswer(form, standing.answer);
    }
  } else {
    sent.basedOn = standing.revision;
    const waiting = queue.get(item);
    if (waiting) waiting.basedOn = standing.revision;
  }
};

const sendOne = async (item, sent) => {
  try {
    const body = await (await put(item, sent)).json();
    settle(item, sent, body.revision);
    showProgress(body.progress);
  } catch (failed) {
    if (failed.isPassing !== false) throw failed;
    if (failed.status === 412) return settleStale(item, sent, failed.body);
    refused = true;
    queue.clear();
    say(`Not stored. ${failed.message}`, "refused");
  }
  return undefined;
};

const wait = (milliseconds) =>
  new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds);
    window.addEventListener("online", () => (clearTimeout(timer), resolve()), { once: true });
  });

const sendAll = async () => {
  let failures = 0;
  while (queue.size && !refused) {
    const [item, sent] = queue.entries().next().value;
    try {
      await sendOne(item, sent);
      failures = 0;
    } catch {
      failures += 1;
      say(`${queue.size === 1 ? "One answer" : `${queue.size} answers`} not stored yet; trying again`, "waiting");
      await wait(Math.min(1000 * 2 ** (failures - 1), LONGEST_WAIT));
    }
    keepQueue();
  }
  if (!refused) say(isDone() ? "Stored. Enter: next image" : "Stored");
};

const flush = () => {
  sending ??= sendAll().finally(() => {
    sending = null;
    // One that came in between the last look at the queue and now.
    if (queue.size && !refused) flush();
  });
  return sending;
};

const answerItem = (form, answer) => {
  showAnswer(form, answer);
  queue.set(form.dataset.item, { answer, basedOn: Number(form.dataset.revision) });
  keepQueue();
  if (!sending) say("Storing…");
  flush();
};

const isDone = () => forms.every((form) => form.dataset.answer);

// Moving ---------------------------------------------------------------------------------------

let current = 0;
let warned = false;

const goTo = (index, { focus = true, scroll = true } = {}) => {
  current = Math.max(0, Math.min(index, forms.length - 1));
  forms.forEach((form, number) => {
    form.classList.toggle("current", number === current);
    if (number === current) form.setAttribute("aria-current", "true");
    else form.removeAttribute("aria-current");
  });
  if (focus) forms[current].focus({ preventScroll: true });
  if (scroll) forms[current].scrollIntoView({ block: current === 0 ? "end" : "center", behavior: "auto" });
};

const leave = async (link) => {
  if (queue.size || sending) await flush();
  if (!queue.size) location.assign(link.href);
};

const turnForward = () => {
  const open = forms.findIndex((form) => !form.dataset.answer);
  if (open >= 0 && !warned) {
    warned = true;
    const count = forms.filter((form) => !form.dataset.answer).length;
    say(`${count} without an answer; Enter again goes on`, "waiting");
    goTo(open);
    return;
  }
  leave(next);
};

const enlarge = () => {
  const enlarged = wall.classList.toggle("enlarged");
  if (enlarged) wall.scrollTo((wall.scrollWidth - wall.clientWidth) / 2, (wall.scrollHeight - wall.clientHeight) / 2);
};

for (const form of forms) {
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    if (!event.submitter) return;
    const index = forms.indexOf(form);
    answerItem(form, event.submitter.value);
    // After a click the keys go on from here; who tabs from button to button stays on the button.
    goTo(index, { focus: !event.submitter.matches(":focus-visible"), scroll: false });
  });
  form.addEventListener("focusin", () => {
    // Scrolling between a press and its release would move the button from under the pointer.
    const index = forms.indexOf(form);
    if (index !== current) goTo(index, { focus: false, scroll: false });
  });
}

for (const link of [next, previous]) {
  link?.addEventListener("click", (event) => {
    if (event.ctrlKey || event.metaKey || event.shiftKey) return;
    event.preventDefault();
    leave(link);
  });
}

wall.querySelector("img").addEventListener("click", enlarge);

const answerByKey = (answer) => {
  if (refused) return;
  warned = false;
  answerItem(forms[current], answer);
  if (current < forms.length - 1) goTo(current + 1);
};

onKeys({
  ...Object.fromEntries(Object.entries(ANSWERS).map(([key, answer]) => [key, () => answerByKey(answer)])),
  ArrowDown: () => goTo(current + 1),
  ArrowRight: () => goTo(current + 1),
  ArrowUp: () => goTo(current - 1),
  ArrowLeft: () => goTo(current - 1),
  Enter: turnForward,
  Backspace: () => previous && leave(previous),
  z: enlarge,
});

guard(() => queue.size > 0 && !refused);

// Starting -------------------------------------------------------------------------------------

const restore = () => {
  let kept = [];
  try {
    kept = JSON.parse(localStorage.getItem(STORE) ?? "[]");
  } catch {
    kept = [];
  }
  for (const [item, { answer, basedOn }] of kept) {
    queue.set(item, { answer, basedOn, kept: true });
    const form = formOf(item);
    if (form) showAnswer(form, answer);
  }
  if (queue.size) flush();
};

restore();
next.classList.toggle("primary", isDone());
const named = forms.findIndex((form) => `#${form.id}` === location.hash);
const open = forms.findIndex((form) => !form.dataset.answer);
goTo(named >= 0 ? named : Math.max(open, 0));
if (page.dataset.ahead) new Image().src = page.dataset.ahead;
