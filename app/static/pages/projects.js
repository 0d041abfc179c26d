// A new project's address, made from its name while nobody has typed one.

import { slugOf } from "./slug.js";

const name = document.querySelector("form [name=name]");
const slug = document.querySelector("form [name=slug]");

if (name && slug) {
  let own = slug.value !== "" && slug.value !== slugOf(name.value);
  slug.addEventListener("input", () => { own = slug.value !== ""; });
  name.addEventListener("input", () => { if (!own) slug.value = slugOf(name.value); });
}
