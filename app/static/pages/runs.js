// A run as it trains: listens for changes, asks for what is new, draws curves and turns samples.

import { makeCurves } from "./curves.js";

const page = document.getElementById("run");
const find = (id) => document.getElementById(id);
const ASK_SECONDS = 3;
const CALM_SECONDS = 8;
const PAUSE = 700;

const get = async (address, headers = {}) => {
  const answer = await fetch(address, { credentials: "same-origin", headers });
  if (!answer.ok || answer.redirected) throw new Error(String(answer.status));
  return answer;
};
const json = async (address) => (await get(address)).json();

// Curves --------------------------------------------------------------------------------------

const rows = new Map();
let isThinned = false;

const curves = makeCurves(find("panels"), {
  onZoomed: (is) => {
    find("reset-zoom").hidden = !is;
  },
  onZoom: async (from, to) => {
    if (!isThinned) return;
    const found = await json(`${page.dataset.metrics}?after=${from - 1}&until=${to}`);
    for (const row of found.items) rows.set(row.step, row);
    curves.show(rows);
  },
});

const last = () => {
  let newest = null;
  for (const row of rows.values()) if (!newest || row.step > newest.step) newest = row;
  return newest;
};

const bringMetrics = async () => {
  const newest = last();
  const query = newest ? `?after=${newest.step}&seen=${newest.time}` : "";
  const found = await json(page.dataset.metrics + query);
  if (found.restart) rows.clear(); // the run was resumed from an earlier checkpoint
  isThinned ||= found.thinned;
  for (const row of found.items) rows.set(row.step, row);
  if (found.items.length || found.restart) curves.show(rows);
  find("no-curves").hidden = rows.size > 0;
};

find("compare").addEventListener("change", async (event) => {
  const others = new Map();
  if (event.target.value) {
    for (const row of (await json(event.target.value)).items) others.set(row.step, row);
  }
  curves.compare(others);
});
find("smoothing").addEventListener("change", (event) => curves.smooth(Number(event.target.value)));
find("reset-zoom").addEventListener("click", () => curves.reset());

// Samples -------------------------------------------------------------------------------------

let samples = [];
let kept = [];

const steps = () => find("samples").dataset.steps.split(",").filter(Boolean).map(Number);
const isNewest = () => {
  const slider = find("sample-slider");
  return !slider || slider.value === slider.max;
};

const bringSamples = async () => {
  if (!steps().length) return;
  samples = (await json(page.dataset.samples)).items;
  // Kept here, so that moving the slider shows decoded pictures at once.
  kept = samples.slice(-120).map((each) => Object.assign(new Image(), { src: each.address }));
};

const showStep = (at) => {
  const step = steps()[at];
  if (step === undefined) return;
  find("sample-slider").value = String(at);
  find("sample-step").textContent = String(step);
  for (const picture of document.querySelectorAll("#samples img[data-model=target]")) {
    const found = samples.find((each) => each.step === step && each.model === "target" && String(each.index) === picture.dataset.index);
    if (!found) continue;
    picture.src = found.address;
    picture.parentElement.href = found.address;
  }
};

const prepareSamples = () => {
  const slider = find("sample-slider");
  if (!slider) return;
  slider.hidden = steps().length < 2;
  document.querySelector(".sample-steps").hidden = true;
};

document.addEventListener("input", (event) => {
  if (event.target.id === "sample-slider") showStep(Number(event.target.value));
});

const turnTo = (at) => {
  const slider = find("sample-slider");
  if (slider) showStep(Math.max(0, Math.min(Number(slider.max), at(Number(slider.value), Number(slider.max)))));
};
const KEYS = {
  ArrowLeft: () => turnTo((now) => now - 1),
  ArrowRight: () => turnTo((now) => now + 1),
  Home: () => turnTo(() => 0),
  End: () => turnTo((_, most) => most),
  0: () => curves.reset(),
};
document.addEventListener("keydown", (event) => {
  const does = KEYS[event.key];
  if (!does || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
  if (event.target.closest("input, textarea, select, pre")) return;
  event.preventDefault();
  does();
});

// State ---------------------------------------------------------------------------------------

const isLive = () => find("run-state").dataset.live === "1";

const exchange = (id, fresh) => {
  const old = find(id);
  if (!fresh || old.outerHTML === fresh.outerHTML || old.contains(document.activeElement)) return false;
  old.replaceWith(document.adoptNode(fresh));
  return true;
};

const bringState = async () => {
  const text = await (await get(page.dataset.page, { "HX-Request": "true" })).text();
  const fresh = new DOMParser().parseFromString(text, "text/html");
  exchange("run-state", fresh.getElementById("run-state"));
  exchange("run-outcome", fresh.getElementById("run-outcome"));
  await changeSamples(fresh.getElementById("samples"));
};

const changeSamples = async (fresh) => {
  const now = find("samples").dataset;
  if (!fresh || (fresh.dataset.steps === now.steps && fresh.dataset.count === now.count)) return;
  const at = isNewest() ? null : Number(find("sample-slider").value);
  find("samples").replaceWith(document.adoptNode(fresh));
  prepareSamples();
  await bringSamples();
  if (at !== null) showStep(at);
};

const bringLog = async () => {
  if (!find("run-log").open) return;
  const text = find("run-log").querySelector("pre");
  const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 4;
  text.textContent = (await json(page.dataset.log)).text || "Nothing yet.";
  if (isAtEnd) text.scrollTop = text.scrollHeight;
};
find("run-log").addEventListener("toggle", () => {
  const text = find("run-log").querySelector("pre");
  text.scrollTop = text.scrollHeight;
  bringLog().catch(() => {});
});

// Listening -----------------------------------------------------------------------------------

let isBusy = false;
let isWanted = false;

// One round at a time; changes that come meanwhile are one more round.
const refresh = async () => {
  if (isBusy) {
    isWanted = true;
    return;
  }
  isBusy = true;
  try {
    await Promise.all([bringState(), bringMetrics(), bringLog()]);
  } catch {
    // The server is away or restarting: the next round finds it again.
  }
  setTimeout(() => {
    isBusy = false;
    if (isWanted) {
      isWanted = false;
      refresh();
    }
  }, PAUSE);
};

let stream = null;
let timer = 0;

const ask = (seconds) => {
  clearInterval(timer);
  timer = setInterval(() => {
    if (document.visibilityState === "visible" && isLive()) refresh();
  }, seconds * 1000);
};

const listen = () => {
  stream?.close();
  stream = new EventSource(page.dataset.events);
  stream.addEventListener("changed", () => {
    ask(CALM_SECONDS);
    refresh();
  });
  stream.addEventListener("unavailable", () => {
    stream.close();
    ask(ASK_SECONDS);
  });
  stream.addEventListener("error", () => ask(ASK_SECONDS));
};

// Browsers allow six connections to a server: a page in the background holds none.
document.addEventListener("visibilitychange", () => {
  if (document.visibilityState === "hidden") {
    stream?.close();
    stream = null;
  } else if (!stream) {
    listen();
    refresh();
  }
});

find("curves").hidden = false;
prepareSamples();
bringSamples().catch(() => {});
ask(CALM_SECONDS);
refresh();
listen();
