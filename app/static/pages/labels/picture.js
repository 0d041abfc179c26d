// The picture: fitted, or some screen pixels for each of its own; dragged, scrolled, or moved by keys.

import { find } from "./sheet.js";

const STEPS = [1, 2, 4, 8, 16];
const CLICK = 4; // pixels that a hand may move and still have clicked
const PAN = 0.2; // of the stage, for each key

let scale = null; // screen pixels for each pixel of the picture; null while it is fitted
let drag = null;

const stage = () => find("#stage");
const picture = () => find("#painting");
const density = () => devicePixelRatio || 1;

const fitted = () => {
  const style = getComputedStyle(stage());
  const [width, height] = [
    stage().clientWidth - parseFloat(style.getPropertyValue("--frame")) * 2,
    stage().clientHeight - parseFloat(style.getPropertyValue("--frame")) * 2,
  ];
  return Math.min(width / picture().naturalWidth, height / picture().naturalHeight) * density();
};

const now = () => scale ?? fitted();

const sayScale = () => {
  const percent = Math.round(now() * 100);
  find("#zoom-scale").textContent = scale === null ? `fit, ${percent} %` : `${percent} %`;
};

// Where in the picture a point of the window lies, in parts of its width and height.
const partAt = (x, y) => {
  const box = picture().getBoundingClientRect();
  const size = scale === null ? fitted() / density() : scale / density();
  const [width, height] = [picture().naturalWidth * size, picture().naturalHeight * size];
  const [left, top] = [box.left + (box.width - width) / 2, box.top + (box.height - height) / 2];
  const part = (at, from, length) => Math.max(0, Math.min(1, (at - from) / length));
  return [part(x, left, width), part(y, top, height)];
};

const middle = () => {
  const box = stage().getBoundingClientRect();
  return [box.left + stage().clientWidth / 2, box.top + stage().clientHeight / 2];
};

// Shows the picture at a scale, with the point of the window (x, y) where it was.
const show = (wanted, x, y) => {
  if (!picture().naturalWidth) return;
  const [pointX, pointY] = x === undefined ? middle() : [x, y];
  const [partX, partY] = partAt(pointX, pointY);
  scale = wanted !== null && wanted > fitted() * 1.02 ? wanted : null;
  stage().classList.toggle("full", scale !== null);
  picture().style.width = scale === null ? "" : `${(picture().naturalWidth * scale) / density()}px`;
  picture().style.height = scale === null ? "" : `${(picture().naturalHeight * scale) / density()}px`;
  if (scale !== null) {
    const box = picture().getBoundingClientRect();
    stage().scrollLeft += box.left + partX * box.width - pointX;
    stage().scrollTop += box.top + partY * box.height - pointY;
  }
  sayScale();
};

const above = () => STEPS.find((each) => each > now() * 1.02) ?? STEPS.at(-1);
const below = () => STEPS.findLast((each) => each < now() * 0.98) ?? null;

export const closer = (x, y) => show(above(), x, y);
export const wider = (x, y) => show(below(), x, y);
export const fit = () => show(null);

// From fitted to the first step that is larger, and back: never smaller than fitted.
export const zoom = (x, y) => (scale === null ? closer(x, y) : fit());

export const pan = (across, down) => {
  if (scale === null) return false;
  stage().scrollBy(across * PAN * stage().clientWidth, down * PAN * stage().clientHeight);
  return true;
};

export const preparePicture = () => {
  scale = null;
  const ready = () => picture().naturalWidth && sayScale();
  if (picture().complete) ready();
  else picture().addEventListener("load", ready, { once: true });
};

addEventListener("resize", () => (scale === null ? picture().naturalWidth && sayScale() : show(scale)));

const onStage = (event) => event.target instanceof Element && event.target.closest("#stage");

document.addEventListener(
  "wheel",
  (event) => {
    if (!onStage(event) || event.shiftKey) return;
    event.preventDefault();
    const by = Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0022));
    show(Math.min(now() * by, STEPS.at(-1)), event.clientX, event.clientY);
  },
  { passive: false },
);

document.addEventListener("pointerdown", (event) => {
  if (!onStage(event) || event.button !== 0) return;
  if (event.pointerType === "mouse") event.preventDefault(); // the row keeps the focus
  drag = { x: event.clientX, y: event.clientY, left: stage().scrollLeft, top: stage().scrollTop, moved: false };
});
document.addEventListener("pointermove", (event) => {
  if (!drag) return;
  const [x, y] = [event.clientX - drag.x, event.clientY - drag.y];
  if (Math.hypot(x, y) > CLICK) drag.moved = true;
  if (!drag.moved || scale === null || event.pointerType !== "mouse") return;
  stage().classList.add("dragging");
  stage().scrollLeft = drag.left - x;
  stage().scrollTop = drag.top - y;
});
document.addEventListener("pointerup", (event) => {
  if (!drag) return;
  stage().classList.remove("dragging");
  if (!drag.moved) zoom(event.clientX, event.clientY);
  drag = null;
});
document.addEventListener("pointercancel", () => {
  drag = null;
});
document.addEventListener("click", (event) => {
  const does = event.target instanceof Element && event.target.closest("[data-zoom]")?.dataset.zoom;
  if (does) ({ closer, wider, fit })[does]();
});
