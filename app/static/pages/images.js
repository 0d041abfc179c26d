// The wall by keyboard.

import { onKeys } from "./keys.js";

const links = () => [...document.querySelectorAll("#wall .wall a")];

// Rows are filled to the right edge by giving each its own height; without this script they end ragged.
const ROW = { aim: 188, narrowest: 120 };

const justify = () => {
  const wall = document.querySelector("#wall .wall");
  if (!wall) return;
  const style = getComputedStyle(wall);
  const room = wall.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight);
  const gap = parseFloat(style.columnGap);
  // The height at which a row fills the room. Slivers keep a width of their own for their caption, so
  // taking them out changes the height of the others; three rounds settle it.
  const fitting = (row) => {
    let height = ROW.aim;
    for (let round = 0; round < 3; round += 1) {
      const wide = row.filter(({ ratio }) => ratio * height >= ROW.narrowest);
      const taken = gap * (row.length - 1) + 1 + (row.length - wide.length) * ROW.narrowest;
      if (!wide.length) return ROW.aim;
      height = (room - taken) / wide.reduce((sum, { ratio }) => sum + ratio, 0);
    }
    return height;
  };
  const close = (row, height) => {
    for (const { image, ratio } of row) {
      image.style.maxWidth = "none";
      image.style.height = `${height}px`;
      image.style.width = `${height * ratio}px`;
    }
  };
  let row = [];
  for (const image of wall.querySelectorAll("img")) {
    const ratio = Math.min(image.getAttribute("width") / image.getAttribute("height"), room / ROW.aim);
    row.push({ image, ratio });
    const height = fitting(row);
    if (height <= ROW.aim * 1.12 && height < room) {
      close(row, height);
      row = [];
    }
  }
  close(row, ROW.aim);
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

// Rows hold different numbers of images, so up and down look for the nearest one by place.
const vertical = (all, from, direction) => {
  const here = middle(from);
  let best = null;
  for (const each of all) {
    const there = middle(each);
    const rows = (there.top - here.top) * direction;
    if (rows < 20) continue;
    const cost = rows * 4 + Math.abs(there.x - here.x);
    if (!best || cost < best.cost) best = { each, cost };
  }
  return best?.each;
};

const wanted = (key, all, at) => {
  if (key === "Home") return all[0];
  if (key === "End") return all.at(-1);
  if (at < 0) return all[0];
  if (key === "ArrowRight") return all[at + 1];
  if (key === "ArrowLeft") return all[at - 1];
  return vertical(all, all[at], key === "ArrowDown" ? 1 : -1);
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
