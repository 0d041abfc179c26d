// Which key was meant, whatever the layout; and which presses are not for a page at all.

const JUST_ENDED = 30; // milliseconds; Safari ends a composition just before it tells of the Enter that did
// Where a layout writes another script, the letter is the one printed there on a Latin keyboard.
const PLACES = { BracketLeft: "[", BracketRight: "]", Slash: "/", Minus: "-", Equal: "=" };
const SHIFTED = { Slash: "?", Equal: "+" };

// Keys of an input method that composes a word, and the Enter that ends it: `endedAt` is when one last ended.
export const isComposing = (event, endedAt = -Infinity) =>
  event.isComposing || event.keyCode === 229 || (event.key === "Enter" && event.timeStamp - endedAt < JUST_ENDED);

// Arrows with Alt and Shift, which move what one is on. Alt alone with an arrow is the browser's way back.
const isMoving = (event) => event.altKey && event.shiftKey && /^Arrow/.test(event.key);

export const isHeld = (event) =>
  event.ctrlKey || event.metaKey || (event.altKey && !isMoving(event)) ||
  ["AltGraph", "OS"].some((name) => event.getModifierState?.(name));

const isOtherScript = (key) => /[^\x00-\x7f]/.test(key) && !/\p{Script=Latin}/u.test(key);

const placeOf = (event) => {
  const letter = /^Key([A-Z])$/.exec(event.code)?.[1];
  if (letter) return letter.toLowerCase();
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code)?.[1];
  if (digit) return digit;
  return (event.shiftKey ? SHIFTED : PLACES)[event.code];
};

// The keys that were meant, the likeliest first: what the layout writes, then what stands there on a
// Latin keyboard, then the digit that a French layout writes only with Shift, and the slash that is printed
// where Cyrillic and Hebrew layouts write a full stop.
export const meant = (event) => {
  if (["Dead", "Process", "Unidentified"].includes(event.key) || typeof event.key !== "string") return [];
  if (isMoving(event)) return [`Alt+Shift+${event.key}`];
  const key = event.key.normalize("NFKC");
  const own = [...key].length === 1 ? key.toLowerCase() : key;
  if (isOtherScript(key)) return [placeOf(event)].filter(Boolean);
  if (event.code === "Slash" && /^[.,]$/.test(key)) return [own, placeOf(event)];
  const digit = !event.shiftKey && [...key].length === 1 && /^Digit(\d)$/.exec(event.code)?.[1];
  return digit && digit !== own ? [own, digit] : [own];
};
