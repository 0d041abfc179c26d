// Signs that somebody is at an image, so that it stays theirs; the answer tells who else is, and how far one is.

import { request } from "../requests.js";
import { emptied } from "./saving.js";
import { find, here, imageHere, imageOf } from "./sheet.js";

let heldAt = 0;

const hold = async () => {
  heldAt = Date.now();
  const image = imageHere();
  const { hold: address, undone } = here().dataset;
  if (!address) return;
  const images = [image, ...(undone ? [imageOf(undone)] : [])].map(Number);
  const answer = await request(address, { method: "POST", json: { images } }).then((told) => told.json(), () => null);
  if (!answer || image !== imageHere()) return; // the next sign says it again
  find("#busy").hidden = !answer.busy;
  find("#busy b").textContent = answer.busy ?? "";
  find("#progress").textContent = answer.words;
};

// What was just done is counted by then.
export const holdWhenSaved = () => emptied().then(hold);

for (const sign of ["focusin", "pointermove", "wheel"]) {
  document.addEventListener(sign, () => void (Date.now() - heldAt > 60_000 && hold()), { passive: true });
}
