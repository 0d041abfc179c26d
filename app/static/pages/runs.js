// A run as it trains: listens for changes, asks for what is new, draws curves and turns samples.

import { grouped, makeCurves, mark, NUM_SLOTS } from "./curves.js";
import { onKeys } from "./keys.js";
import { listenTo } from "./news.js";
import { request, sayFailed, sayStale } from "./requests.js";
import { makeSeries } from "./series.js";

const page = document.getElementById("run");
const find = (id) => document.getElementById(id);
const ASK_SECONDS = 3;
const CALM_SECONDS = 8;
const PAUSE = 700;

const json = async (address) => (await request(address)).json();

// Curves ---

const LOOK_PAUSE = 180;
const ZOOM = 1.5;

let shown = [];
let looking = 0;

// A run keeps its colour wherever it is seen, unless another one of this view has it already.
const freeSlot = (number) => {
  const taken = new Set(shown.map((run) => run.slot));
  let slot = (number - 1) % NUM_SLOTS;
  while (taken.has(slot + 1)) slot = (slot + 1) % NUM_SLOTS;
  return slot + 1;
};

const addRun = ({ id, number, name, curves: address, href, live }) => {
  const run = { id: Number(id), number, name, href, isLive: live === "1", slot: freeSlot(Number(number)), series: makeSeries(address, json) };
  shown.push(run);
  return run;
};

const curves = makeCurves(find("panels"), {
  onView: (view) => {
    find("whole-run").disabled = !view;
    clearTimeout(looking);
    if (view) looking = setTimeout(() => look(view), LOOK_PAUSE);
  },
  onStep: (step) => {
    find("at-step").textContent = step === null ? "" : `step ${grouped(step)}`;
  },
});

const look = async ([from, to]) => {
  const found = await Promise.all(shown.map((run) => run.series.look(from, to).catch(() => false)));
  if (found.some(Boolean)) curves.refresh();
};

const bringMetrics = async () => {
  const found = await Promise.all(shown.map((run, at) => (at === 0 || run.isLive ? run.series.bring() : false)));
  if (found.some(Boolean)) curves.refresh();
  find("no-curves").hidden = shown[0].series.extent() !== null;
};

const showRuns = () => {
  const legend = find("legend");
  legend.hidden = shown.length < 2;
  legend.replaceChildren(...shown.map(legendOf));
  find("compare-count").textContent = shown.length > 1 ? ` ${shown.length - 1}` : "";
  curves.show(shown);
};

const legendOf = (run, at) => {
  const item = document.createElement("li");
  const link = Object.assign(document.createElement("a"), { href: run.href, textContent: `Run ${run.number}: ${run.name}`, title: run.name });
  item.append(mark(run.slot), link);
  if (at > 0) {
    const remove = Object.assign(document.createElement("button"), { type: "button", className: "quiet small", textContent: "×", ariaLabel: `Without run ${run.number}` });
    remove.addEventListener("click", () => {
      choiceOf(run.id).checked = false;
      chooseRuns();
      find("compare").querySelector("summary").focus();
    });
    item.append(remove);
  }
  for (const event of ["mouseenter", "focusin"]) item.addEventListener(event, () => curves.focus(run.id));
  for (const event of ["mouseleave", "focusout"]) item.addEventListener(event, () => curves.focus(null));
  return item;
};

// Oldest first, so that they come in the order of their numbers.
const choices = () => [...find("compare").querySelectorAll("input")].reverse();
const choiceOf = (id) => choices().find((choice) => choice.value === String(id));

// Shows the runs that are chosen; the address says which, so that the view can be shared.
const chooseRuns = async () => {
  const chosen = choices().filter((choice) => choice.checked);
  const ids = new Set(chosen.map((choice) => Number(choice.value)));
  shown = shown.filter((run, at) => at === 0 || ids.has(run.id));
  const known = new Set(shown.map((run) => run.id));
  const added = chosen.filter((choice) => !known.has(Number(choice.value))).map((choice) => addRun({ ...choice.dataset, id: choice.value }));
  const isFull = shown.length >= NUM_SLOTS;
  for (const choice of choices()) choice.disabled = isFull && !choice.checked;
  find("compare-full").hidden = !isFull;
  const place = new URL(location.href);
  if (shown.length > 1) place.searchParams.set("compare", shown.slice(1).map((run) => run.id).join(","));
  else place.searchParams.delete("compare");
  history.replaceState(null, "", place.href.replaceAll("%2C", ","));
  curves.focus(null);
  showRuns();
  await Promise.all(added.map((run) => run.series.bring().then(() => curves.refresh())));
};

find("compare").addEventListener("change", () => chooseRuns().catch(sayFailed));
const closeComparison = () => {
  find("compare").open = false;
  find("compare").querySelector("summary").focus();
};
onKeys({ Escape: closeComparison }, { field: "#compare" });
document.addEventListener("click", (event) => {
  if (!find("compare").contains(event.target)) find("compare").open = false;
});
curves.smooth(Number(find("smoothing").value));
find("smoothing").addEventListener("change", (event) => curves.smooth(Number(event.target.value)));
find("closer").addEventListener("click", () => curves.zoom(1 / ZOOM));
find("wider").addEventListener("click", () => curves.zoom(ZOOM));
find("earlier").addEventListener("click", () => curves.pan(-0.25));
find("later").addEventListener("click", () => curves.pan(0.25));
find("whole-run").addEventListener("click", () => curves.reset());

// Samples ---

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
  find("sample-step").textContent = grouped(step);
  if (find("sample-place")) find("sample-place").textContent = String(at + 1);
  for (const picture of document.querySelectorAll("#samples :is(img[data-model=target], img[data-model=ema])")) {
    const found = samples.find((each) => each.step === step && each.model === picture.dataset.model && String(each.index) === picture.dataset.index);
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
  "+": () => curves.zoom(1 / ZOOM),
  "-": () => curves.zoom(ZOOM),
  "[": () => curves.pan(-0.25),
  "]": () => curves.pan(0.25),
};
onKeys(KEYS, { except: "pre", repeats: ["+", "-", "[", "]"] });

// State ---

const isLive = () => find("run-state").dataset.live === "1";

const exchange = (id, fresh) => {
  const old = find(id);
  if (!fresh || old.outerHTML === fresh.outerHTML || old.contains(document.activeElement)) return false;
  old.replaceWith(document.adoptNode(fresh));
  return true;
};

const bringState = async () => {
  const text = await (await request(page.dataset.href, { headers: { "HX-Request": "true" } })).text();
  const fresh = new DOMParser().parseFromString(text, "text/html");
  exchange("run-state", fresh.getElementById("run-state"));
  exchange("run-verdict", fresh.getElementById("run-verdict"));
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
  if (!find("run-log")?.open) return; // only a lead has it
  const text = find("run-log").querySelector("pre");
  const isAtEnd = text.scrollTop + text.clientHeight >= text.scrollHeight - 4;
  text.textContent = (await json(page.dataset.log)).text || "Nothing yet.";
  if (isAtEnd) text.scrollTop = text.scrollHeight;
};
find("run-log")?.addEventListener("toggle", () => {
  const text = find("run-log").querySelector("pre");
  text.scrollTop = text.scrollHeight;
  bringLog().catch(sayFailed);
});

// Listening ---

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
    sayStale();
  }
  setTimeout(() => {
    isBusy = false;
    if (isWanted) {
      isWanted = false;
      refresh();
    }
  }, PAUSE);
};

// Cancel and Resume leave the runs that are laid over this one, and the part that is looked at, as they are.
document.addEventListener("submit", async (event) => {
  const form = event.target.closest("#run-state form");
  if (!form) return;
  event.preventDefault();
  try {
    await request(form.action, { method: "POST" });
    document.activeElement.blur();
    refresh();
  } catch (failed) {
    sayFailed(failed, { form, isWrite: true });
  }
});

let stream = null;
let timer = 0;

const ask = (seconds) => {
  clearInterval(timer);
  timer = setInterval(() => {
    if (document.visibilityState === "visible" && (isLive() || shown.some((run) => run.isLive))) refresh();
  }, seconds * 1000);
};

const listen = () => {
  stream?.close();
  stream = listenTo(page.dataset.events, {
    changed: () => {
      ask(CALM_SECONDS);
      refresh();
    },
    unavailable: () => {
      stream.close();
      ask(ASK_SECONDS);
    },
    error: () => ask(ASK_SECONDS),
  });
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
addRun(page.dataset);
chooseRuns().catch(() => {});
prepareSamples();
bringSamples().catch(() => {});
ask(CALM_SECONDS);
refresh();
listen();
