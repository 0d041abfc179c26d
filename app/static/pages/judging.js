// Answering questions one after another by keyboard, in audits and in studies. Each answer is sent at once; what
// could not be sent is kept in this browser and tried again. Without this script every button is a plain form.

import { onKeys } from "./keys.js";
import { request } from "./requests.js";
import { openQueue } from "./unsent.js";

const SECONDS = 15;

// `answers` says which key gives which answer; `arrows` what an arrow does instead of going to another question, told its
// direction and the event; `practised` shows what comes back in practice; `nextIs` is what the next page shows.
export const startJudging = ({ answers, keys = {}, arrows, except, practised, nextIs }) => {
  const page = document.querySelector("[data-judging]");
  const forms = [...page.querySelectorAll("form[data-item]")];
  const next = document.getElementById("next");
  const previous = document.getElementById("previous");
  const isPractice = "practice" in page.dataset;

  // Saying how it stands ---

  const saved = document.getElementById("saved");

  const say = (words, kind = "") => {
    saved.className = kind;
    if (saved.textContent !== words) saved.textContent = words;
  };

  const showProgress = ({ answered }) => {
    document.getElementById("answered").textContent = answered;
    document.getElementById("progress").value = answered;
  };

  const isDone = () => forms.every((form) => form.dataset.answer);

  const showAnswer = (form, answer) => {
    form.dataset.answer = answer;
    for (const button of form.querySelectorAll("button[name=answer]")) {
      button.setAttribute("aria-pressed", String(button.value === answer));
    }
    next.classList.toggle("primary", isDone());
  };

  const formOf = (item) => forms.find((form) => form.dataset.item === item);

  // Sending answers ---

  let isOver = false; // no answer is taken any more
  let warned = false; // of questions that are open

  const send = async ({ about, answer }, basedOn) => {
    const json = { answer, based_on: basedOn };
    return (await request(`${page.dataset.items}/${about}`, { method: "PUT", json, keepalive: true, seconds: SECONDS })).json();
  };

  const queue = openQueue({
    owner: `seat-${page.dataset.seat}`,
    send,
    hears: {
      saved: ({ about }, answered) => {
        if (isPractice) return practised(formOf(about), answered);
        queue.know(about, answered.revision);
        return showProgress(answered.progress);
      },
      // Kept from an earlier visit: whatever was answered since is newer. Given just now: it is the newest.
      stale: ({ about, isLeft }, standing) => {
        const form = formOf(about);
        if (isLeft && form && !queue.waiting(about).length) showAnswer(form, standing.answer);
        return !isLeft;
      },
      refused: (_, failed) => {
        isOver = true;
        queue.drop();
        say(`Not stored. ${failed.message}`, "refused");
      },
      changed: (failed) => {
        const waiting = new Set(queue.waiting().map(({ about }) => about)).size;
        if (isOver) return;
        if (failed) say(`${waiting === 1 ? "One answer" : `${waiting} answers`} not stored yet; trying again`, "waiting");
        else if (warned) return; // an answer that arrives late leaves the warning in view
        else if (isPractice) say(isDone() ? "Enter goes on" : "Practice only");
        else if (!waiting) say(isDone() ? `Stored. Enter: next ${nextIs}` : "Stored");
        else if (!queue.isRetrying()) say("Storing…");
      },
    },
  });

  const answerItem = (form, answer) => {
    warned = false;
    showAnswer(form, answer);
    queue.add({ about: form.dataset.item, answer, revision: Number(form.dataset.revision) });
  };

  // Moving ---

  let current = 0;

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

  // Who has just been refused an answer stays, to read why.
  const leave = async (link) => {
    const wasOver = isOver;
    await queue.emptied();
    if (isOver === wasOver) location.assign(link.href);
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

  const answerByKey = (answer) => {
    if (isOver || !forms[current].querySelector(`button[value=${answer}]`)) return;
    answerItem(forms[current], answer);
    if (current < forms.length - 1) goTo(current + 1);
  };

  onKeys(
    {
      ...Object.fromEntries(Object.entries(answers).map(([key, answer]) => [key, () => answerByKey(answer)])),
      Enter: turnForward,
      Backspace: () => previous && leave(previous),
      ...keys,
    },
    { repeats: ["+", "-"] },
  );
  onKeys(arrows({ forward: () => goTo(current + 1), back: () => goTo(current - 1), answer: answerByKey }), { except });

  // Starting ---

  // What waits is shown as it was answered, whatever the server knows yet.
  const showWaiting = () => {
    for (const { about, answer } of queue.waiting()) if (formOf(about)) showAnswer(formOf(about), answer);
  };

  showWaiting();
  queue.open().then(showWaiting);
  next.classList.toggle("primary", isDone());
  const named = forms.findIndex((form) => `#${form.id}` === location.hash);
  const open = forms.findIndex((form) => !form.dataset.answer);
  goTo(named >= 0 ? named : Math.max(open, 0));
  for (const ahead of (page.dataset.ahead ?? "").split(" ").filter(Boolean)) new Image().src = ahead;
};
