// A picture enlarged, in #stage over the page's own image: OpenSeadragon, which draws, drags and pinches it.
// Of a large picture it brings tiles once what the page shows of it is enlarged.

import { request } from "./requests.js";
import { wholeWithin } from "./scales.js";

const ANIMATION = 0.25; // seconds
const MOST_TILES = 150; // in memory, of a megabyte each
const WAITS = [1, 1, 2, 4, 8, 15, 30]; // seconds between questions whether the tiles are there

let loading = null;

// The library, asked for once: it is larger than all else that a page brings, so no page waits for it.
export const loadLibrary = (address) => {
  loading ??= new Promise((resolve, reject) => {
    const script = document.createElement("script");
    // Where there is no style of this name, it would write one into the page, which the policy forbids. This is one
    // by its name only.
    const style = document.createElementNS(null, "style");
    style.setAttribute("data-openseadragon-mobile-css", "");
    script.src = address;
    script.addEventListener("load", () => resolve(window.OpenSeadragon));
    script.addEventListener("error", () => {
      loading = null;
      reject(new Error("The viewer could not be loaded."));
    });
    document.head.append(style, script);
  });
  return loading;
};

const pause = (seconds) => new Promise((resolve) => setTimeout(resolve, seconds * 1000));

const isStill = matchMedia("(prefers-reduced-motion: reduce)");

const optionsFor = (Library, element, picture) => ({
  element,
  drawer: "canvas", // one that leaves colours to the browser
  tileSources: { type: "image", url: picture.currentSrc || picture.src, buildPyramid: false },
  showNavigationControl: false,
  keyboardNavEnabled: false, // keys.js alone listens
  tabIndex: "", // the stage has the focus
  autoResize: true,
  visibilityRatio: 1,
  constrainDuringPan: true,
  animationTime: isStill.matches ? 0 : ANIMATION,
  maxImageCacheCount: MOST_TILES,
  imageLoaderLimit: 8,
  tileRetryMax: 2,
  maxTilesPerFrame: 8,
  gestureSettingsMouse: { clickToZoom: false, scrollToZoom: false },
  gestureSettingsTouch: { dblClickToZoom: false, dblClickDragToZoom: false },
  gestureSettingsPen: { clickToZoom: false },
});

// `hears` is told: ready(), once it is drawn and may be seen; zoomed(width of the whole picture in pixels of the
// page); moved(box of the picture in the stage), each time it is drawn; rested(), when it has come to rest;
// pressed(x, y), where it was clicked, in the stage.
//
// Points and boxes are as seen, in a mirror too.
export const openDeep = (Library, stage, picture, hears) => {
  const element = document.createElement("div");
  element.className = "deep";
  const fill = () => {
    const { width, height } = stage.getBoundingClientRect();
    element.style.width = `${wholeWithin(width, devicePixelRatio)}px`;
    element.style.height = `${wholeWithin(height, devicePixelRatio)}px`;
  };
  fill();
  stage.append(element);
  const viewer = new Library.Viewer(optionsFor(Library, element, picture));
  const { viewport } = viewer;
  // It would draw each tile a pixel too large, to hide seams; here the page's picture lies below them, and at 100 %
  // a pixel is to be a pixel.
  viewer.drawer.minimumOverlapRequired = () => false;
  let isOpen = true;
  let isReady = false;
  let isSharp = false;

  const isFlipped = () => viewport.getFlip();
  const across = () => element.clientWidth;
  const unflipped = (x) => (isFlipped() ? across() - x : x);

  const box = () => {
    const bounds = viewport.getBoundsNoRotate(true);
    const width = across() / bounds.width;
    const height = (width * picture.naturalHeight) / picture.naturalWidth;
    const left = -bounds.x * width;
    return { left: isFlipped() ? across() - left - width : left, top: -bounds.y * width, width, height };
  };

  viewer.addOnceHandler("open", () => {
    viewer.world.getItemAt(0).addOnceHandler("fully-loaded-change", () => {
      hears.ready();
      isReady = true;
    });
  });
  viewer.addHandler("zoom", ({ zoom }) => isReady && hears.zoomed(zoom * across()));
  viewer.addHandler("update-viewport", () => hears.moved(box()));
  viewer.addHandler("animation-finish", () => hears.rested());
  viewer.addHandler("canvas-click", ({ quick, position }) => quick && hears.pressed(unflipped(position.x), position.y));

  const addTiles = ({ levels, tile_size: tileSize, address }) => {
    const { width, height, level: maxLevel } = levels.at(-1);
    const getTileUrl = (level, column, row) =>
      address.replace("{level}", level).replace("{column}", column).replace("{row}", row);
    viewer.addTiledImage({
      tileSource: { width, height, tileSize, minLevel: levels[0].level, maxLevel, getTileUrl },
    });
  };

  return {
    // Makes the whole picture so many pixels wide, with a point of the stage where it is.
    widenTo: (width, x, y, isNow = false) => {
      viewport.zoomTo(width / across(), viewport.pointFromPixel(new Library.Point(unflipped(x), y), true), isNow);
      viewport.applyConstraints(isNow);
    },
    // A point of the picture, in parts of it, to the middle of the stage.
    centre: (isNow = false, x = 0.5, y = 0.5) =>
      viewport.panTo(new Library.Point(x, (y * picture.naturalHeight) / picture.naturalWidth), isNow),
    // Onto whole pixels of the screen: at 100 % each shows one of the image then, and not a mixture of two.
    settle: () => {
      const { left, top, width } = box();
      const [right, down] = [left, top].map((at) => at - Math.round(at * devicePixelRatio) / devicePixelRatio);
      const by = new Library.Point((right / width) * (isFlipped() ? -1 : 1), down / width);
      if (Math.hypot(by.x, by.y) * width > 0.01) viewport.panBy(by, true);
    },
    // By parts of what is seen.
    panBy: (right, down) => {
      const { width, height } = viewport.getBounds();
      viewport.panBy(new Library.Point(right * width * (isFlipped() ? -1 : 1), down * height));
      viewport.applyConstraints();
    },
    bound: (least, most) => Object.assign(viewport, { minZoomLevel: least / across(), maxZoomLevel: most / across() }),
    fill,
    mirror: (on) => viewport.setFlip(on),
    holdStill: (still) => Object.assign(viewer, { panHorizontal: !still, panVertical: !still }),
    // Brings the picture in full. Resolves to what there is to say where that cannot be done, or "".
    sharpen: async (address, says) => {
      if (isSharp || !address) return;
      isSharp = true;
      for (const seconds of WAITS) {
        const found = await (await request(address)).json();
        if (!isOpen) return;
        if (found.state === "ready") {
          addTiles(found);
          return says("");
        }
        if (found.state !== "making") return says(found.reason);
        says("full size on its way");
        await pause(seconds);
        if (!isOpen) return;
      }
      isSharp = false;
    },
    close: () => {
      isOpen = false;
      viewer.destroy();
      element.remove();
    },
  };
};
