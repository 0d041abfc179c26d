// Signs that somebody is at an image, so that it stays theirs: when it comes into view, and as long as their hands
// move. The answer tells who else is there, and how far one is.

import { request } from "../requests.js";
import { emptied } from "./saving.js";
import { find, here, imageHere, imageOf } from "./sheet.js";

const SPACING = 60_000;

let heldAt = 0;

const hold = async () => {
  heldAt = Date.now();
  const image = imageHere();
  const { hold: address, undone } = here().dataset;
  const images = [image, ...(undone ? [imageOf(undone)] : [])].map(Number);
  let answer;
  try {
    answer = await (await request(address, { method: "POST", json: { images } })).json();
  } catch {
    return; // the next sign says it again
  }
  if (image !== imageHere()) return;
  find("#busy").hidden = !answer.busy;
  find("#busy b").textContent = answer.busy ?? "";
  find("#progress").textContent = answer.words;
};

// What was just done is counted by then.
export const holdWhenSaved = () => emptied().then(hold);

for (const sign of ["focusin", "pointermove", "pointerdown", "wheel"]) {
  document.addEventListener(sign, () => {
    if (Date.now() - heldAt > SPACING) hold();
  }, { passive: true });
}
