// One piece of work at one tab: loading the page again keeps it, signing out ends it.

import { inTab } from "../kept.js";
import { newId } from "../new_id.js";
import { here } from "./sheet.js";

const NAME = "morelli-sitting";

const begin = () => {
  const { session } = here().dataset;
  const kept = inTab.read(NAME);
  const made = kept?.session === session ? kept : { id: newId(), session };
  inTab.write(NAME, made);
  return made.id;
};

export const sitting = begin();

// What is said of style and content goes by a form of its own, and is taken back with the rest.
document.addEventListener("submit", (event) => {
  const field = event.target.elements.namedItem("sitting");
  if (field) field.value = sitting;
});
