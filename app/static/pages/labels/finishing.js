// Marking an image as done, and the question before that where labels are undecided.

import { isOn, switchTo } from "../kept.js";
import { closeSearch } from "./adding.js";
import { isMarked, markImage } from "./deciding.js";
import { focusRow } from "./focus.js";
import { sayState } from "./saving.js";
import { clearBad, here, imageOf, rows } from "./sheet.js";
import { go } from "./turning.js";

const ASK = "morelli-ask-undecided";

const asking = document.getElementById("undecided");
const undecided = () => rows().filter((row) => row.dataset.state === "proposed");

const isAsked = () => {
  if (here().dataset.done === "true" || !undecided().length || !isOn(ASK)) return false;
  const number = undecided().length;
  asking.querySelector("#num-undecided").textContent = `${number} ${number === 1 ? "label is" : "labels are"} undecided.`;
  asking.returnValue = "";
  asking.showModal();
  return true;
};

const finish = () => {
  clearBad();
  closeSearch();
  if (here().dataset.done !== "true") markImage();
  const following = here().dataset.undone;
  if (following && !isMarked(imageOf(following))) return go(following);
  // Others may be at some that are not done.
  Object.assign(here().dataset, { done: "true", end: "Saved. Nothing else waits for you here." });
  return sayState();
};

export const markDone = () => (isAsked() ? undefined : finish());
export const finishAnyway = () => asking.close("finish");

asking.addEventListener("close", () => {
  if (asking.querySelector("#ask-no-more").checked) switchTo(ASK, false);
  showChoice();
  if (asking.returnValue === "finish") finish();
  else focusRow(undecided()[0]);
});

const choice = document.getElementById("ask-undecided");
const showChoice = () => {
  choice.checked = isOn(ASK);
  asking.querySelector("#ask-no-more").checked = !isOn(ASK);
};
choice.addEventListener("change", () => {
  switchTo(ASK, choice.checked);
  showChoice();
});
showChoice();
