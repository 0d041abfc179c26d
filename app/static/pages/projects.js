// A new project's address, made from its name while nobody has typed one. The server makes the same where
// this script does not run.

const name = document.querySelector("form [name=name]");
const slug = document.querySelector("form [name=slug]");

const made = (text) => text.normalize("NFKD").replace(/[\u0300-\u036f'’]/g, "").toLowerCase()
  .replace(/[^a-z0-9]+/g, "-").slice(0, 63).replace(/^-+|-+$/g, "");

if (name && slug) {
  let own = slug.value !== "" && slug.value !== made(name.value);
  slug.addEventListener("input", () => { own = slug.value !== ""; });
  name.addEventListener("input", () => { if (!own) slug.value = made(name.value); });
}
