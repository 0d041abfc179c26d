// The wall by keyboard.

import { onKeys } from "./keys.js";
import { inRows, nearest } from "./rows.js";

const links = () => [...document.querySelectorAll("#wall .wall a")];

// Without this script rows end ragged.
const justify = () => {
  const wall = document.querySelector("#wall .wall");
  if (!wall) return;
  const style = getComputedStyle(wall);
  const room = wall.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const images = [...wall.querySelectorAll("img")];
  const ratios = images.map((image) => image.getAttribute("width") / image.getAttribute("height"));
  inRows(ratios, room, parseFloat(style.columnGap)).forEach(({ width, height }, at) => {
    Object.assign(images[at].style, { maxWidth: "none", width: `${width}px`, height: `${height}px` });
  });
};

const watch = () => {
  justify();
  const wall = document.querySelector("#wall .wall");
  if (wall) new ResizeObserver(justify).observe(wall);
};
watch();
document.addEventListener("htmx:afterSwap", watch);

const middle = (element) => {
  const box = element.getBoundingClientRect();
  return { x: box.left + box.width / 2, top: box.top };
};

const wanted = (key, all, at) => {
  if (key === "Home") return all[0];
  if (key === "End") return all.at(-1);
  if (at < 0) return all[0];
  if (key === "ArrowRight") return all[at + 1];
  if (key === "ArrowLeft") return all[at - 1];
  return all[nearest(all.map(middle), at, key === "ArrowDown" ? 1 : -1)];
};

const move = (key) => {
  const all = links();
  const next = wanted(key, all, all.indexOf(document.activeElement));
  if (!next) return false;
  next.focus();
  next.scrollIntoView({ block: "nearest" });
  return true;
};

const turn = (rel) => {
  const link = document.querySelector(`#wall a[rel=${rel}]`);
  link?.click();
  return Boolean(link);
};

if (document.getElementById("wall")) {
  const search = document.getElementById("wall-search");
  const MOVES = ["ArrowLeft", "ArrowRight", "ArrowUp", "ArrowDown", "Home", "End"];
  onKeys({
    ...Object.fromEntries(MOVES.map((key) => [key, () => move(key)])),
    n: () => turn("next"),
    p: () => turn("prev"),
    "/": () => {
      search?.focus();
      search?.select();
      return Boolean(search);
    },
  });
  onKeys({ Escape: () => search.blur() }, { field: "#wall-search" });
}
