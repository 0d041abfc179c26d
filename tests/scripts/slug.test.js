import assert from "node:assert/strict";
import test from "node:test";

import { slugOf } from "../../app/static/pages/slug.js";
import { readTable } from "./tables.js";

const NAMES = await readTable("slugs.json");

for (const [name, slug] of Object.entries(NAMES)) {
  test(`the address of a project: ${name}`, () => assert.equal(slugOf(name), slug ?? ""));
}
