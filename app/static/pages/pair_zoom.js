// Two images looked at closely together: what is done to one is done to the other, so that both show the same part as
// large. Fitted they are the page's own images; enlarged, deep_zoom.js draws them. zoom.js does it for one picture.

import { loadLibrary, openDeep } from "./deep_zoom.js";
import { LARGEST, bounded, fittedTo, stepAbove, stepBelow } from "./scales.js";

const PAN = 0.2; // of what is seen, for each key
const QUIET = 400; // milliseconds that a pair is looked at before the viewers are made ready

const bar = document.getElementById("zoom");
const says = document.getElementById("zoom-says");
const density = () => devicePixelRatio || 1;

// One of the two: its stage, its image as the page shows it, and the viewer over it once there is one.
const sideOf = (stage) => {
  const picture = stage.querySelector("img");
  const own = { width: Number(picture.getAttribute("width")), height: Number(picture.getAttribute("height")) };
  const room = () => ({ width: stage.clientWidth, height: stage.clientHeight });
  const fitted = () => fittedTo(room(), own, density());
  return { stage, picture, fitted, wideAt: (scale) => (own.width * scale) / density(), viewer: null };
};

const sides = [...document.querySelectorAll(".side .stage")].map(sideOf);

// Both grow by one factor. Scales are of the image that has more pixels for its room; they are the same for both
// where both are of one size.
const finest = () => sides.reduce((one, other) => (other.fitted() < one.fitted() ? other : one));

let factor = null; // how many times as large as fitted; null while they are fitted
let leader = sides[0]; // the one that is moved; the other follows
let opening = null; // promise of both viewers

const now = () => finest().fitted() * (factor ?? 1);
const widthOf = (side, by = factor ?? 1) => side.wideAt(side.fitted() * by);
const others = (side) => sides.filter((each) => each !== side);
const middleOf = ({ stage }) => [stage.clientWidth / 2, stage.clientHeight / 2];

const sayScale = () => {
  const [one, other] = sides.map((side) => side.fitted());
  const isOneSize = Math.abs(one - other) < 0.001 * one;
  const words = isOneSize ? `${Math.round(now() * 100)} %` : `${(factor ?? 1).toFixed(1)} ×`;
  document.getElementById("zoom-scale").textContent = factor === null ? `fit, ${words}` : words;
};

const bound = (side) => side.viewer.bound(widthOf(side, 1), widthOf(side, Math.max(LARGEST / finest().fitted(), 1)));

const isFull = (on) => sides.forEach(({ stage }) => stage.classList.toggle("full", on));

const hearing = (side) => ({
  zoomed: (width) => {
    if (side !== leader) return;
    const scale = bounded((width / widthOf(side, 1)) * finest().fitted(), finest().fitted());
    factor = scale === null ? null : scale / finest().fitted();
    if (factor !== null) isFull(true);
    for (const each of sides) each.viewer?.holdStill(factor === null);
    sayScale();
  },
  moved: (box) => {
    if (side !== leader || factor === null) return;
    const [x, y] = middleOf(side);
    for (const each of others(side)) {
      if (!each.viewer) continue;
      each.viewer.widenTo((box.width / widthOf(side, 1)) * widthOf(each, 1), ...middleOf(each), true);
      each.viewer.centre(true, (x - box.left) / box.width, (y - box.top) / box.height);
    }
  },
  rested: () => {
    if (side !== leader || factor !== null) return;
    for (const each of sides) each.viewer?.centre(true);
    isFull(false);
  },
  pressed: (x, y) => step(side, factor === null ? stepAbove(now()) : null, x, y),
});

const fitNow = (side) => {
  bound(side);
  side.viewer.widenTo(widthOf(side, 1), ...middleOf(side), true);
  side.viewer.centre(true);
};

const openSide = (Library, side) =>
  new Promise((resolve) => {
    const ready = () => {
      side.viewer = viewer;
      viewer.holdStill(true);
      fitNow(side);
      resolve();
    };
    const viewer = openDeep(Library, side.stage, side.picture, { ready, ...hearing(side) });
  });

const opened = () => {
  opening ??= loadLibrary(bar.dataset.viewer).then((Library) => Promise.all(sides.map((side) => openSide(Library, side))));
  return opening;
};

// Shows both at a scale, null for fitted, with the point of the side's stage (x, y) where it was.
const step = async (side, wanted, x, y) => {
  if (!sides.every(({ picture }) => picture.naturalWidth)) return;
  try {
    await opened();
    leader = side;
    const to = bounded(wanted, finest().fitted());
    const [pointX, pointY] = x === undefined ? middleOf(side) : [x, y];
    side.viewer.widenTo(widthOf(side, to === null ? 1 : to / finest().fitted()), pointX, pointY);
    if (to === null) side.viewer.centre();
  } catch (failed) {
    opening = null;
    says.textContent = failed.message;
  }
};

const closer = () => void step(leader, stepAbove(now()));
const wider = () => void step(leader, stepBelow(now()));
const fit = () => void step(leader, null);

export const pairKeys = { z: () => (factor === null ? closer() : fit()), "+": closer, "=": closer, "-": wider };

export const panPair = (right, down) => {
  if (factor === null) return false;
  leader.viewer.panBy(right * PAN, down * PAN);
  return true;
};

const listenTo = (side) => {
  const { stage } = side;
  const lead = () => {
    if (side.viewer) leader = side;
  };
  // Before the viewer hears of it: who is touched leads from then on.
  stage.addEventListener("pointerdown", lead, { capture: true });
  stage.addEventListener("mousedown", (event) => event.preventDefault()); // the question keeps the focus
  // A link for those without this script, and for the keyboard: Enter shows the image by itself.
  stage.addEventListener("click", (event) => {
    if (event.detail === 0) return;
    event.preventDefault();
    if (!side.viewer) closer();
  });
  stage.addEventListener(
    "wheel",
    (event) => {
      if (event.shiftKey) return;
      event.preventDefault();
      const by = Math.exp(-event.deltaY * (event.deltaMode ? 0.05 : 0.0022));
      const box = stage.getBoundingClientRect();
      step(side, Math.min(now() * by, LARGEST), event.clientX - box.left, event.clientY - box.top);
    },
    { passive: false },
  );
};

const whenQuiet = (does) => setTimeout(() => (window.requestIdleCallback ? requestIdleCallback(does) : does()), QUIET);

export const preparePair = () => {
  bar.hidden = false;
  bar.addEventListener("click", (event) => {
    const does = event.target.closest("[data-zoom]")?.dataset.zoom;
    if (does) ({ closer, wider, fit })[does]();
  });
  for (const side of sides) listenTo(side);
  addEventListener("resize", () => {
    for (const side of sides.filter(({ viewer }) => viewer)) {
      side.viewer.fill();
      fitNow(side);
    }
    factor = null;
    isFull(false);
    sayScale();
  });
  Promise.all(sides.map(({ picture }) => picture.decode().catch(() => {}))).then(() => {
    sayScale();
    // Ready before the first touch: a pinch cannot wait for a script.
    whenQuiet(() => opened().catch(() => {}));
  });
};
