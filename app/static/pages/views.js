// Ways to look at the picture (#painting in #stage) that painters judge by: its values without colour, its masses
// without detail, its mirror image, and the lines that divide it. They end with the picture, so that nobody
// judges colours in a grey one without noticing; only the lines stay.

import { guideAfter, linesOf } from "./guides.js";
import { inTab } from "./kept.js";

const SVG = "http://www.w3.org/2000/svg";
const KEEP = "morelli-guides";
const SIDES = ["left", "top", "width", "height"];
const SQUINT = 0.014; // of the shorter side as it is shown

let guide = inTab.read(KEEP);
let mirrored = () => {};
let shown = null; // where the enlarged picture lies in the stage; null while it is fitted

const stage = () => document.getElementById("stage");
const picture = () => document.getElementById("painting");
const button = (view) => document.querySelector(`[data-view="${view}"]`);

// The lines, in a drawing of the picture's own size that lies and grows as the picture does.
const overlay = () => {
  const there = stage().querySelector(".guides");
  if (there) return there;
  const drawing = document.createElementNS(SVG, "svg");
  drawing.setAttribute("class", "guides");
  drawing.setAttribute("aria-hidden", "true");
  drawing.toggleAttribute("hidden", true);
  stage().append(drawing);
  return drawing;
};

const drawGuides = () => {
  const size = { width: picture().naturalWidth, height: picture().naturalHeight };
  const drawing = overlay();
  drawing.setAttribute("viewBox", `0 0 ${size.width || 1} ${size.height || 1}`);
  const lines = linesOf(guide, size).map((at) => at.join(" "));
  const path = lines.map((at) => at.replace(/^(\S+ \S+) (.+)$/, "M$1L$2")).join("");
  // Dark below light, so that one of both is seen on any picture.
  drawing.replaceChildren(
    ...["below", "above"].map((name) => {
      const line = document.createElementNS(SVG, "path");
      line.setAttribute("class", name);
      line.setAttribute("d", path);
      return line;
    }),
  );
  drawing.toggleAttribute("hidden", guide === null);
};

const sayGuide = () => {
  button("guides").textContent = guide ?? "Lines";
  button("guides").setAttribute("aria-pressed", String(guide !== null));
};

const toggle = (view) => {
  const on = stage().classList.toggle(view);
  button(view).setAttribute("aria-pressed", String(on));
  if (view === "squint") measureSquint();
  if (view === "mirrored") mirrored(on);
};

export const isMirrored = () => stage().classList.contains("mirrored");
// Told when the picture is to be seen in a mirror, and when not any more.
export const onMirror = (does) => {
  mirrored = does;
};

// As blurred when enlarged as when fitted: half closed eyes do not know how near one stands.
const measureSquint = () => {
  const { width, height } = shown ?? picture().getBoundingClientRect();
  stage().style.setProperty("--squint", `${Math.max(1, SQUINT * Math.min(width, height))}px`);
};

// The picture has been enlarged or moved: `box` is where it lies in the stage, null where it is fitted again.
export const placeOverlay = (box) => {
  shown = box;
  const { style } = overlay();
  for (const side of SIDES) style[side] = box ? `${box[side]}px` : "";
  if (stage().classList.contains("squint")) measureSquint();
};

const nextGuide = () => {
  guide = guideAfter(guide);
  inTab.write(KEEP, guide);
  drawGuides();
  sayGuide();
};

const VIEWS = {
  grey: () => toggle("grey"),
  squint: () => toggle("squint"),
  mirrored: () => toggle("mirrored"),
  guides: nextGuide,
};

export const viewKeys = { g: VIEWS.grey, q: VIEWS.squint, m: VIEWS.mirrored, t: nextGuide };

// For a picture that has just come.
export const prepareViews = () => {
  shown = null;
  sayGuide();
  if (guide === null) return;
  if (picture().complete) drawGuides();
  else picture().addEventListener("load", drawGuides, { once: true });
};

document.addEventListener("click", (event) => {
  const view = event.target instanceof Element && event.target.closest("[data-view]")?.dataset.view;
  if (view) VIEWS[view]();
});
