// The lines of the criteria tree: which dimension or pair each is, and where it stands.

export const linkOf = (item) => item.querySelector(":scope > .line > .node > a.names, :scope > .node > a.names");
export const itemOf = (link) => link.closest("li");
export const isShown = (link) => link.checkVisibility();
export const kindOf = (item) => (item.classList.contains("dimension") ? "dimension" : "pair");
export const keyOf = (item) => item?.dataset.key ?? null;
export const aboveOf = (item) => item.parentElement.closest("li");
export const branchOf = (item) => item.querySelector(":scope > details");
export const listOf = (item) => item.querySelector(":scope > details > ul");
export const lineWith = (tree, key) => tree.querySelector(`a.names[data-key="${CSS.escape(key)}"]`);

// Those of one kind below the same dimension, in their order: dimensions come before pairs.
export const neighboursOf = (item) => [...item.parentElement.children].filter((each) => kindOf(each) === kindOf(item));

// What a line is called in sentences, as the server does.
export const titleOf = (item) => {
  const link = linkOf(item);
  if (!link) return ""; // it is being renamed
  const sides = [...link.querySelectorAll(":scope > span")].map((each) => each.lastChild.textContent.trim());
  return sides.length ? sides.join(" / ") : link.textContent.trim();
};

// Opens what is above a line, so that it is in view.
export const reveal = (link) => {
  for (let item = aboveOf(itemOf(link)); item; item = aboveOf(item)) branchOf(item).open = true;
};
