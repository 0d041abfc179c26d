// The picture one looks at closely (#painting in #stage, on every page that has one): fitted, or enlarged;
// dragged, scrolled, or moved by keys.

import { LARGEST, bounded, fittedTo, partAt, stepAbove, stepBelow } from "./scales.js";
import { measureSquint, overlay, prepareViews } from "./views.js";

const CLICK = 4; // pixels that a hand may move and still have clicked
const PAN = 0.2; // of the stage, for each key

let scale = null; // null while it is fitted
let drag = null;

const stage = () => document.getElementById("stage");
const picture = () => document.getElementById("painting");
const density = () => devicePixelRatio || 1;

const fitted = () => {
  const frame = parseFloat(getComputedStyle(stage()).getPropertyValue("--frame")) * 2;
  const room = { width: stage().clientWidth - frame, height: stage().clientHeight - frame };
  return fittedTo(room, { width: picture().naturalWidth, height: picture().naturalHeight }, density());
};

const now = () => scale ?? fitted();

const sayScale = () => {
  const percent = Math.round(now() * 100);
  document.getElementById("zoom-scale").textContent = scale === null ? `fit, ${percent} %` : `${percent} %`;
};

// Where in the picture a point of the window lies, in parts of its width and height.
const placeAt = (x, y) => {
  const box = picture().getBoundingClientRect();
  const size = scale === null ? fitted() / density() : scale / density();
  const [width, height] = [picture().naturalWidth * size, picture().naturalHeight * size];
  const [left, top] = [box.left + (box.width - width) / 2, box.top + (box.height - height) / 2];
  return [partAt(x, left, width), partAt(y, top, height)];
};

const middle = () => {
  const box = stage().getBoundingClientRect();
  return [box.left + stage().clientWidth / 2, box.top + stage().clientHeight / 2];
};

// Shows the picture at a scale, with the point of the window (x, y) where it was.
const show = (wanted, x, y) => {
  if (!picture().naturalWidth) return;
  const [pointX, pointY] = x === undefined ? middle() : [x, y];
  const [partX, partY] = placeAt(pointX, pointY);
  scale = bounded(wanted, fitted());
  stage().classList.toggle("full", scale !== null);
  for (const each of [picture(), overlay()]) {
    each.style.width = scale === null ? "" : `${(picture().naturalWidth * scale) / density()}px`;
    each.style.height = scale === null ? "" : `${(picture().naturalHeight * scale) / density()}px`;
  }
  measureSquint();
  if (scale !== null) {
    const box = picture().getBoundingClientRect();
    stage().scrollLeft += box.left + partX * box.width - pointX;
    stage().scrollTop += box.top + partY * box.height - pointY;
  }
  sayScale();
};

export const closer = (x, y) => show(stepAbove(now()), x, y);
export const wider = (x, y) => show(stepBelow(now()), x, y);
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
  document.getElementById("zoom").hidden = false;
  prepareViews();
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
    show(Math.min(now() * by, LARGEST), event.clientX, event.clientY);
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
