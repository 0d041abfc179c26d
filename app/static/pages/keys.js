// The only listener to the keyboard: gives pages the name of the key that was meant, where it is
// theirs. Not theirs: what an input method composes (and the Enter that ends it), what is held with Ctrl,
// Alt, AltGr or Meta (but "Alt+Shift+ArrowUp"), dead keys, what is typed into a field, Enter and Space on
// what they press, arrows where they move a choice, everything below an open dialog.

import { isOn, switchTo } from "./kept.js";
import { isComposing, isHeld, meant } from "./pressed.js";

const KEEP = "morelli-label-keys";
const MOVES = new Set(["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End", "PageUp", "PageDown"]);
const NO_TEXT = /^(checkbox|radio|range|button|submit|reset|file|image|color)$/;

const listeners = [];
let endedAt = -Infinity;

const isText = (target) =>
  target.isContentEditable ||
  target.matches("textarea, select, [role=textbox], [role=searchbox], [role=combobox]") ||
  (target.matches("input") && !NO_TEXT.test(target.type));

// Keys that the element in focus takes itself.
const isOfTarget = (key, target) => {
  if (MOVES.has(key)) return target.matches("input[type=radio], input[type=range], input[type=color]");
  if (key === " ") return target.matches("button, summary, input, [role=button]");
  return key === "Enter" && Boolean(target.closest("a[href], button, summary, [role=button]"));
};

// Single keys can be switched off (WCAG 2.1.4), for people whose software types for them.
let singleKeys = isOn(KEEP);

// Keys that this person has changed here: what is pressed -> the key that pages know its command by, "" for none.
const dialog = document.getElementById("keys");
const meanings = new Map(JSON.parse(dialog?.dataset.meanings ?? "[]"));
const known = (pressed) => meanings.get(pressed) ?? pressed;

// Titles end with the key of what they name, in brackets: "Confirm (y)".
export const sayKeys = (within = document) => {
  const given = [...meanings];
  if (!given.length) return;
  for (const each of within.querySelectorAll("[title$=')']")) {
    if (each.dataset.said === each.title) continue;
    each.title = each.title.replace(/\((\S+)\)$/, (said, key) => {
      const own = given.find(([, meant]) => meant === key)?.[0];
      return own ? `(${own === " " ? "Space" : own})` : said;
    });
    each.dataset.said = each.title;
  }
};

const takes = (listener, key, pressed, target) => {
  if (!Object.hasOwn(listener.does, key)) return false;
  if (listener.within && !target.closest(listener.within)) return false;
  if (listener.except && target.closest(listener.except)) return false;
  if (listener.field) return true;
  if (document.querySelector("dialog[open]") && !listener.overDialogs) return false;
  if (isText(target) || (isOfTarget(pressed, target) && !listener.takesEnter)) return false;
  return singleKeys || pressed.length > 1 || pressed === "?";
};

const repeats = (listener, key) => MOVES.has(key) || listener.repeats?.includes(key);

const hear = (event) => {
  const target = event.composedPath()[0] ?? event.target;
  if (event.defaultPrevented || isComposing(event, endedAt) || isHeld(event) || !(target instanceof Element)) return;
  for (const pressed of meant(event)) {
    for (const listener of listeners) {
      const key = listener.field ? pressed : known(pressed);
      if (!takes(listener, key, pressed, target)) continue;
      if (event.repeat && !repeats(listener, key)) return;
      if (listener.does[key](event, target) === false) continue;
      event.preventDefault();
      return;
    }
  }
};

// `does` maps keys to what they do: characters as a Latin keyboard writes them, in small letters, or the
// names of others ("Enter"). What returns false leaves the key to whoever comes next. Options, selectors all:
// `within` where the key has to be pressed, `except` where not, `field`: keys of a text field, which it takes
// before the text does, `takesEnter`: also where a link or button has the focus, `overDialogs`; `repeats`: keys
// that go on while they are held, as moving ones always do.
export const onKeys = (does, options = {}) => {
  const within = options.field ?? options.within;
  listeners.push({ ...options, does, within });
};

// What comes before the scripts of the page have said what their keys do is heard once they have.
document.addEventListener("DOMContentLoaded", () => {
  document.addEventListener("keydown", hear);
  window.morelliEarlyKeys?.take().forEach(hear);
}, { once: true });
document.addEventListener("compositionend", (event) => {
  endedAt = event.timeStamp;
}, true);

sayKeys();

const choice = document.getElementById("keys-on");
if (choice) {
  choice.checked = singleKeys;
  choice.addEventListener("change", () => {
    singleKeys = choice.checked;
    switchTo(KEEP, singleKeys);
  });
}
