// The picture one looks at closely (#painting in #stage, on every page that has one). Fitted it is the page's own
// image, which is there before any script; enlarged, deep_zoom.js draws it, moved by hand, wheel and keys.

import { loadLibrary, openDeep } from "./deep_zoom.js";
import { onKeys } from "./keys.js";
import { LARGEST, bounded, fittedTo, stepAbove, stepBelow } from "./scales.js";
import { isMirrored, onMirror, placeOverlay, prepareViews, viewKeys } from "./views.js";

const PAN = 0.2; // of the stage, for each key
const QUIET = 400; // milliseconds that a picture is looked at before the viewer is made ready

let scale = null; // screen pixels for each of the picture's own; null while it is fitted
let deep = null; // promise of the viewer of this picture

const stage = () => document.getElementById("stage");
const picture = () => document.getElementById("painting");
const bar = () => document.getElementById("zoom");
const density = () => devicePixelRatio || 1;
const isThere = () => picture().naturalWidth > 0;

// The image's own size, of which the page shows less where it is large.
const full = () => ({ width: Number(picture().getAttribute("width")), height: Number(picture().getAttribute("height")) });

const fitted = () => {
  const frame = parseFloat(getComputedStyle(stage()).getPropertyValue("--frame")) * 2;
  const room = { width: stage().clientWidth - frame, height: stage().clientHeight - frame };
  return fittedTo(room, full(), density());
};

const now = () => scale ?? fitted();
const wideAt = (size) => (full().width * size) / density();

const sayScale = () => {
  const percent = Math.round(now() * 100);
  document.getElementById("zoom-scale").textContent = scale === null ? `fit, ${percent} %` : `${percent} %`;
};

const say = (words) => {
  const place = document.getElementById("zoom-says");
  if (place && place.textContent !== words) place.textContent = words;
};

const middle = () => [stage().clientWidth / 2, stage().clientHeight / 2];

const inStage = (x, y) => {
  const box = stage().getBoundingClientRect();
  return [x - box.left, y - box.top];
};

const bound = (viewer) => viewer.bound(wideAt(fitted()), wideAt(Math.max(LARGEST, fitted())));

const showSharp = (viewer) => {
  if (now() <= (picture().naturalWidth / full().width) * 1.02) return;
  viewer.sharpen(stage().dataset.tiles, say).catch((failed) => say(failed.message));
};

const hearing = (viewer) => ({
  zoomed: (width) => {
    scale = bounded((width * density()) / full().width, fitted());
    if (scale !== null) stage().classList.add("full");
    viewer().holdStill(scale === null);
    showSharp(viewer());
    sayScale();
  },
  moved: (box) => stage().classList.contains("full") && placeOverlay(box),
  rested: () => {
    if (scale !== null) return viewer().settle();
    viewer().centre(true);
    stage().classList.remove("full");
    return placeOverlay(null);
  },
  pressed: (x, y) => step(scale === null ? stepAbove(now()) : null, x, y),
});

// The viewer of a picture, once it has drawn it.
const openOn = async (on) => {
  const Library = await loadLibrary(bar().dataset.viewer);
  if (on !== picture()) throw new Error("Another picture is there now.");
  return new Promise((resolve) => {
    const ready = () => {
      bound(viewer);
      viewer.mirror(isMirrored());
      viewer.holdStill(true);
      viewer.widenTo(wideAt(fitted()), ...middle(), true);
      viewer.centre(true);
      resolve(viewer);
    };
    const viewer = openDeep(Library, stage(), on, { ready, ...hearing(() => viewer) });
  });
};

const opened = () => {
  deep ??= openOn(picture());
  return deep;
};

const close = () => {
  deep?.then((viewer) => viewer.close(), () => {});
  deep = null;
};

// Shows the picture at a scale, null for fitted, with the point of the stage (x, y) where it was.
const step = async (wanted, x, y) => {
  if (!isThere()) return;
  try {
    const viewer = await opened();
    const [pointX, pointY] = x === undefined ? middle() : [x, y];
    viewer.widenTo(wideAt(bounded(wanted, fitted()) ?? fitted()), pointX, pointY);
    if (scale === null) viewer.centre();
  } catch (failed) {
    deep = null;
    say(failed.message);
  }
};

const closer = () => void step(stepAbove(now()));
const wider = () => void step(stepBelow(now()));
const fit = () => void step(null);

// From fitted to the first step that is larger, and back: never smaller than fitted.
const zoom = () => (scale === null ? closer() : fit());

export const pan = (across, down) => {
  if (scale === null) return false;
  opened().then((viewer) => viewer.panBy(across * PAN, down * PAN));
  return true;
};

// Of every page with a picture; "+" and "-" go on while they are held. With the focus on the picture the arrows
// move it, elsewhere they do with Shift, which each page says, as it has arrows of its own.
export const lookKeys = { z: zoom, "+": closer, "=": closer, "-": wider, 0: fit, ...viewKeys };
onKeys(
  {
    ArrowDown: () => pan(0, 1),
    ArrowUp: () => pan(0, -1),
    ArrowLeft: () => pan(-1, 0),
    ArrowRight: () => pan(1, 0),
  },
  { within: "#stage" },
);

const whenQuiet = (does) =>
  setTimeout(() => (window.requestIdleCallback ? requestIdleCallback(does) : does()), QUIET);

export const preparePicture = () => {
  close();
  scale = null;
  bar().hidden = false;
  prepareViews();
  const on = picture();
  const ready = () => {
    if (!isThere()) return;
    sayScale();
    // Ready before the first touch: a pinch cannot wait for a script.
    whenQuiet(() => on === picture() && opened().catch(() => {}));
  };
  if (on.complete) ready();
  else on.addEventListener("load", ready, { once: true });
};

onMirror((on) => deep?.then((viewer) => viewer.mirror(on)));

addEventListener("resize", () => {
  if (!isThere()) return;
  sayScale();
  deep?.then((viewer) => {
    viewer.fill();
    bound(viewer);
    if (scale === null) step(null);
  });
});

const onStage = (event) => event.target instanceof Element && event.target.closest("#stage");

document.addEventListener(
  "wheel",
  (event) => {
    if (!onStage(event) || event.shiftKey) return;
    event.preventDefault();
    const by = Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0022));
    step(Math.min(now() * by, LARGEST), ...inStage(event.clientX, event.clientY));
  },
  { passive: false },
);

document.addEventListener("mousedown", (event) => {
  if (onStage(event)) event.preventDefault(); // the row keeps the focus
});
document.addEventListener("click", (event) => {
  const does = event.target instanceof Element && event.target.closest("[data-zoom]")?.dataset.zoom;
  if (does) ({ closer, wider, fit })[does]();
});
