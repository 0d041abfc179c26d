// Every attribute of the version in force, loaded once.

import { request } from "../requests.js";
import { here } from "./sheet.js";

let listed = [];
let from = "";
let loading = Promise.resolve();

export const known = () => listed;
export const attributeAt = (key, polarity) => listed.find((each) => each.key === key && each.polarity === polarity);

// Resolves when the attributes are there, and also when they could not be brought.
export const loadAttributes = () => {
  const address = here().dataset.attributes;
  if (!address || address === from) return loading;
  from = address;
  loading = request(address)
    .then((answer) => answer.json())
    .then(({ items }) => {
      listed = items;
    })
    .catch(() => {
      from = "";
    });
  return loading;
};
