// Curves of runs: one large panel as in the paper and small multiples, with one crosshair and one view for all.
// A run keeps its colour in every panel; where a panel has several quantities, the dashes tell them apart.
/* global uPlot */

const PANELS = [
  { title: "As in the paper", hint: "Below 0 is nearer to the target than the reference is. Winning − losing should stay below 0; the winning part should fall until theta has gone a part of the gap.", of: { difference: "winning − losing", win: "winning", lose: "losing" } },
  { title: "Loss", of: { loss: "training", validation_loss: "validation" }, points: "validation_loss", log: true },
  { title: "Alignment and drift", hint: "Alignment below 0: toward the winner. Drift: the squared distance from the reference. Their sum is the winning part.", of: { alignment: "alignment", drift: "drift", win: "sum" } },
  { title: "Held-out images", hint: "Alignment and drift on validation images, always with the same timesteps and noise.", of: { validation_alignment: "alignment", validation_drift: "drift", validation_win: "sum" } },
  { title: "Implicit accuracy", hint: "Share of images where the run gained more on the winner than on the loser.", of: { accuracy: "" }, range: [0, 1] },
  { title: "Gradient norm", hint: "Of all trained weights, before clipping.", of: { grad_norm: "" }, log: true },
  { title: "Gradient of both parts", hint: "Norm of the gradient that each part sends into the prediction.", of: { grad_win: "winning", grad_lose: "losing" }, log: true },
  { title: "Learning rate", of: { lr: "" }, isExact: true },
  { title: "Cosine", hint: "Between winner − loser and prediction − reference: 1 where the run moves straight from the loser to the winner.", of: { cosine: "" } },
  { title: "Distance from the reference", of: { drift: "" }, log: true },
  { title: "Weight of the loser ρ", of: { rho: "" } },
  { title: "Factor before the gradient", hint: "One half at the start, near 0 once an image is learned.", of: { factor: "" }, log: true },
  { title: "Images per second", of: { images_per_second: "" } },
  { title: "Memory, MB", of: { memory_mb: "" }, isExact: true },
  { title: "Skipped steps", hint: "Steps whose loss or gradient was not finite, or stood out too far; counted from the start.", of: { skipped_steps: "" }, isExact: true, unless: 0 },
  { title: "Learning rate kept", hint: "1 until a rollback lowers the learning rate.", of: { lr_factor: "" }, isExact: true, unless: 1 },
];
const DASHES = [undefined, [7, 4], [2, 3]];
/** How many runs can be told apart. */
export const NUM_SLOTS = 6;
const HEIGHTS = { large: 272, small: 132 };
const LABEL_FONT = "600 11px Inter, system-ui, sans-serif";
const WHOLE = [1, 2, 5].flatMap((each) => Array.from({ length: 8 }, (_, power) => each * 10 ** power)).sort((one, two) => one - two);
const SMALLEST_VIEW = 4;

/** A whole number with thin spaces between thousands. */
export const grouped = (number) => number.toLocaleString("en").replaceAll(",", "\u202f");

const short = (value, digits = 4) => {
  if (value == null) return "–";
  const size = Math.abs(value);
  const exact = size >= 1000 && size < 1e6;
  const text = exact ? grouped(Math.round(value)) : size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : String(Number(value.toPrecision(digits)));
  return text.replaceAll("-", "−").replace("e+", "e");
};

const make = (name, properties = {}, ...children) => {
  const { dataset, ...others } = properties;
  const made = Object.assign(document.createElement(name), others);
  Object.assign(made.dataset, dataset);
  made.append(...children);
  return made;
};

/** A swatch: one of the six colours of runs (0: that of the text), and the number of the dashes. */
export const mark = (slot, dash = 0) => make("span", { className: "mark", ariaHidden: "true", dataset: { slot, dash } });

// Tokens of the theme, as an element has them: a token itself names the colours of both themes. Read once,
// for asking for a style makes the browser compute the page's.
const makeColors = (onChange) => {
  const probe = document.body.appendChild(make("span", { hidden: true }));
  let known = new Map();
  const forget = () => {
    known = new Map();
    onChange();
  };
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", forget);
  new MutationObserver(forget).observe(document.documentElement, { attributeFilter: ["data-theme"] });
  return (name) => {
    if (!known.has(name)) {
      probe.style.color = `var(${name})`;
      known.set(name, getComputedStyle(probe).color);
    }
    return known.get(name);
  };
};

// The number of a line nearest to a place; lines share their steps, and not every line has a number at each.
const nearest = (values, at) => {
  for (let away = 0; away < values.length; away += 1) {
    const found = values[at - away] ?? values[at + away];
    if (found != null) return found;
  }
  return null;
};

// Points that a logarithmic scale can show.
const positive = ([steps, values]) => {
  const kept = values.flatMap((value, at) => (value > 0 ? [at] : []));
  return [kept.map((at) => steps[at]), kept.map((at) => values[at])];
};

// Labels at the ends of lines, pushed apart where they would lie on each other.
const apart = (labels, gap) => {
  labels.sort((one, two) => one.y - two.y);
  for (const [at, label] of labels.entries()) {
    const above = labels.slice(0, at).findLast((each) => Math.abs(each.x - label.x) < gap);
    if (above) label.y = Math.max(label.y, above.y + gap);
  }
  return labels;
};

/** Curves in `root`. `onView(view)` hears of the part that is looked at, or null; `onStep(step)` of the crosshair. */
export const makeCurves = (root, { onView, onStep }) => {
  let runs = [];
  let share = 0;
  let view = null;
  let focused = null;
  let frame = 0;
  let readingIsStale = false;
  const hidden = new Set();
  const color = makeColors(() => panels.forEach(({ plot }) => plot?.redraw(false)));

  // What is drawn ---

  const extent = () => {
    const all = runs.map((run) => run.series.extent()).filter(Boolean);
    return all.length ? [Math.min(...all.map(([first]) => first)), Math.max(...all.map(([, last]) => last))] : null;
  };

  // What the panels show. A single step gets room on both sides: a scale without a width shows nothing.
  const shownSteps = () => {
    const [min, max] = view ?? extent();
    return min === max ? { min: min - 1, max: max + 1 } : { min, max };
  };

  const span = () => {
    const steps = extent();
    return share && steps ? Math.max(1e-9, share * (steps[1] - steps[0])) : 0;
  };

  const isShown = (name, run, { unless }) => (unless === undefined ? run.series.newest(name) != null : run.series.differs(name, unless));

  const namesOf = (panel) => Object.keys(panel.of).filter((name) => runs.some((run) => isShown(name, run, panel)));

  // A run alone has a colour for each quantity; runs beside each other have one each, and quantities dashes.
  const slotOf = (run, quantity) => (runs.length > 1 ? run.slot : ((run.slot - 1 + 2 * quantity) % NUM_SLOTS) + 1);
  const dashOf = (quantity) => (runs.length > 1 ? quantity : 0);

  // Lines in the order in which they are drawn: what was logged behind what is smoothed, the first run on top.
  const linesOf = (panel) => {
    const names = namesOf(panel);
    const behind = [];
    const found = [];
    for (const run of [...runs].reverse()) {
      for (const name of names.toReversed()) {
        if (hidden.has(name) || run.series.newest(name) == null) continue;
        const quantity = Object.keys(panel.of).indexOf(name);
        const line = { run, name, slot: slotOf(run, quantity), dash: dashOf(quantity), withPoints: name === panel.points, span: 0 };
        if (!span() || panel.isExact || line.withPoints) found.push(line);
        else {
          behind.push({ ...line, dash: 0, isFaint: true });
          found.push({ ...line, span: span() });
        }
      }
    }
    return [...behind, ...found];
  };

  const tableOf = (lines, isLog) => {
    const tables = lines.map((line) => line.run.series.line(line.name, line.span));
    const shown = isLog ? tables.map(positive) : tables;
    return shown.length === 1 ? shown[0] : uPlot.join(shown);
  };

  // One panel ---

  const axis = (extra) => ({
    stroke: () => color("--ink-3"),
    font: "11px Inter, system-ui, sans-serif",
    grid: { stroke: () => color("--line"), width: 1 },
    ticks: { show: false },
    ...extra,
  });

  const alphaOf = ({ run, isFaint }) => (focused !== null && focused !== run.id ? 0.15 : 1) * (isFaint ? 0.3 / Math.sqrt(runs.length) : 1);

  const seriesOf = (line) => ({
    stroke: () => color(`--run-${line.slot}`),
    width: line.isFaint ? 1 : line.span ? 1.75 : 1.25,
    alpha: alphaOf(line),
    dash: DASHES[line.dash],
    spanGaps: true,
    points: { show: line.withPoints || ((plot) => plot.data[0].length < 3), size: runs.length > 1 ? 4 : 6, fill: () => color(`--run-${line.slot}`) },
  });

  const labelEnds = (plot, lines) => {
    if (runs.length < 2) return;
    const { ctx, bbox } = plot;
    const ratio = uPlot.pxRatio;
    const labelled = lines.at(-1).name;
    const labels = lines.flatMap(({ run, name, isFaint }, at) => {
      const [from, to] = plot.series[0].idxs ?? [];
      if (isFaint || name !== labelled || from == null) return [];
      const values = plot.data[at + 1];
      let end = to;
      while (end > from && values[end] == null) end -= 1;
      return values[end] == null ? [] : [{ run, x: plot.valToPos(plot.data[0][end], "x", true), y: plot.valToPos(values[end], "y", true) }];
    });
    ctx.save();
    ctx.font = LABEL_FONT.replace("11px", `${11 * ratio}px`);
    ctx.textBaseline = "middle";
    ctx.textAlign = "left";
    for (const { run, x, y } of apart(labels, 12 * ratio)) {
      ctx.globalAlpha = alphaOf({ run });
      ctx.fillStyle = color(`--run-${run.slot}`);
      ctx.fillText(run.number, x + 4 * ratio, Math.min(y, bbox.top + bbox.height));
    }
    ctx.restore();
  };

  const optionsOf = (panel, lines) => ({
    width: Math.max(panel.holder.clientWidth, 120),
    height: panel.height,
    legend: { show: false },
    padding: [8, runs.length > 1 ? 34 : 22, 0, 0],
    cursor: {
      y: false,
      points: { size: (_, at) => (at && lines[at - 1].isFaint ? 0 : 5) },
      drag: { x: true, y: false, setScale: false },
      sync: { key: "run", scales: ["x", null], filters: { pub: (event) => event === "mousemove" || event === "mouseleave" } },
      bind: { mousedown: pressed, dblclick: () => reset },
    },
    scales: { x: { time: false, auto: false }, y: panel.isLog ? { distr: 3 } : panel.range ? { range: panel.range } : {} },
    axes: [
      axis({ size: 24, gap: 3, space: 60, incrs: WHOLE, values: (_, ticks) => ticks.map(grouped) }),
      axis({ size: 54, gap: 4, space: 26, values: (_, ticks) => ticks.map((each) => (each == null ? "" : short(each))) }),
    ],
    series: [{}, ...lines.map(seriesOf)],
    hooks: {
      draw: [(plot) => labelEnds(plot, lines)],
      setCursor: [noteCursor],
      setSelect: [(plot) => plot.select.width > 2 && chooseSelected(plot)],
      ready: [(plot) => plot.over.addEventListener("wheel", (event) => turned(plot, event), { passive: false })],
    },
  });

  const signatureOf = (panel, lines) =>
    [panel.isLog, runs.length, ...lines.map(({ run, slot, name, isFaint }) => `${run.id} ${slot} ${name} ${isFaint}`)].join();

  const build = (panel, lines, table) => {
    panel.plot?.destroy();
    panel.plot = new uPlot(optionsOf(panel, lines), table, panel.holder);
    panel.lines = lines;
    makeOutputs(panel, lines);
    panel.holder.ariaLabel = `${panel.title} of ${runs.map((run) => `run ${run.number}`).join(", ")}`;
  };

  const makeOutputs = (panel, lines) => {
    const shown = lines.filter((line) => !line.isFaint);
    const names = Object.keys(panel.of);
    shown.sort((one, two) => names.indexOf(one.name) - names.indexOf(two.name) || runs.indexOf(one.run) - runs.indexOf(two.run));
    panel.outputs = shown.map((line) => {
      const text = make("span");
      const output = make("output", { title: `Run ${line.run.number}${panel.of[line.name] && `, ${panel.of[line.name]}`}`, ariaLive: "off" }, mark(line.slot, line.dash), text);
      return { line, text, output, at: lines.indexOf(line) + 1 };
    });
    panel.values.replaceChildren(...panel.outputs.map(({ output }) => output));
    // Of several runs each quantity has a line of its own.
    const drawn = new Set(shown.map(({ run }) => run)).size;
    panel.values.style.setProperty("--columns", drawn > 1 ? drawn : Math.max(1, shown.length));
  };

  const draw = (panel) => {
    const lines = linesOf(panel);
    if (!lines.length) {
      panel.plot?.destroy();
      Object.assign(panel, { plot: null, signature: "", outputs: [] });
      panel.values.replaceChildren();
      return;
    }
    const signature = signatureOf(panel, lines);
    const table = tableOf(lines, panel.isLog);
    const isNew = signature !== panel.signature;
    if (isNew) build(panel, lines, table);
    panel.signature = signature;
    panel.plot.batch(() => {
      if (!isNew) panel.plot.setData(table, false);
      panel.plot.setScale("x", shownSteps());
    });
    read(panel);
  };

  // Changes are drawn together, once a frame, and only where one can see them ---

  const STALE = { nothing: 0, view: 1, data: 2 };

  const paint = () => {
    frame = 0;
    if (!extent()) return;
    for (const panel of panels) {
      if (!panel.isInSight || panel.stale === STALE.nothing) continue;
      if (panel.stale === STALE.data) draw(panel);
      else panel.plot?.setScale("x", shownSteps());
      panel.stale = STALE.nothing;
    }
    if (readingIsStale) panels.forEach((panel) => panel.isInSight && read(panel));
    readingIsStale = false;
  };

  const request = () => {
    frame ||= requestAnimationFrame(paint);
  };

  const markStale = (stale) => {
    for (const panel of panels) panel.stale = Math.max(panel.stale, stale);
    request();
  };

  const refresh = () => {
    for (const panel of panels) {
      const names = namesOf(panel);
      panel.figure.hidden = !names.length;
      [...panel.toggles].forEach(([name, toggle], quantity) => {
        toggle.hidden = !names.includes(name);
        toggle.firstChild.replaceWith(mark(runs.length > 1 ? 0 : slotOf(runs[0], quantity), dashOf(quantity)));
      });
    }
    // A stage that has no two parts shows its loss large instead.
    const large = panels.find((panel) => !panel.figure.hidden && panel.isLargest) ?? panels[1];
    for (const panel of panels) setHeight(panel, panel === large);
    markStale(STALE.data);
  };

  const setHeight = (panel, isLarge) => {
    const height = isLarge ? HEIGHTS.large : HEIGHTS.small;
    if (panel.height === height) return;
    panel.height = height;
    panel.figure.classList.toggle("large", isLarge);
    panel.plot?.setSize({ width: Math.max(panel.holder.clientWidth, 120), height });
  };

  // The crosshair ---

  const read = (panel) => {
    const at = panel.plot?.cursor.idx;
    for (const { line, text, at: column } of panel.outputs) {
      const value = at == null ? line.run.series.newest(line.name) : readAt(panel.plot, line, column, at);
      text.textContent = short(value, panel.height === HEIGHTS.large ? 4 : 3);
    }
  };

  // A run that was not there yet, or no longer, has no number.
  const readAt = (plot, { run }, column, at) => {
    const [first, last] = run.series.extent();
    const step = plot.data[0][at];
    return step < first || step > last ? null : nearest(plot.data[column], at);
  };

  const noteCursor = (plot) => {
    readingIsStale = true;
    if (plot.cursor.event) onStep(plot.cursor.idx == null ? null : Math.round(plot.posToVal(plot.cursor.left, "x")));
    request();
  };

  // The view ---

  const setView = (wanted) => {
    const whole = extent();
    if (!whole) return;
    const size = wanted ? Math.max(SMALLEST_VIEW, wanted[1] - wanted[0]) : Infinity;
    if (size >= whole[1] - whole[0]) view = null;
    else {
      const from = Math.min(Math.max(wanted[0], whole[0]), whole[1] - size);
      view = [from, from + size];
    }
    if (view) markStale(STALE.view);
    else {
      for (const run of runs) run.series.leave();
      markStale(STALE.data);
    }
    onView(view);
  };
  const reset = () => setView(null);

  const chooseSelected = (plot) => {
    const { left, width } = plot.select;
    setView([plot.posToVal(left, "x"), plot.posToVal(left + width, "x")]);
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
  };

  const zoom = (factor, around = 0.5) => {
    const [from, to] = view ?? extent() ?? [0, 0];
    const centre = from + around * (to - from);
    setView([centre - (centre - from) * factor, centre + (to - centre) * factor]);
  };

  const pan = (by) => {
    if (!view) return;
    const size = view[1] - view[0];
    setView([view[0] + by * size, view[1] + by * size]);
  };

  // Pinching, or the wheel with Ctrl, zooms; turning sideways moves.
  const turned = (plot, event) => {
    const isSideways = Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey;
    if (!event.ctrlKey && !(isSideways && view)) return;
    event.preventDefault();
    const width = plot.over.clientWidth;
    if (event.ctrlKey) zoom(Math.exp(event.deltaY * 0.003), event.offsetX / width);
    else pan((event.deltaX || event.deltaY) / width);
  };

  // With Shift held, dragging moves the view instead of choosing a part.
  const pressed = (plot, _target, choose) => (event) => {
    if (!event.shiftKey || event.button !== 0) return choose(event);
    let last = event.clientX;
    const drag = (moved) => {
      pan((last - moved.clientX) / plot.over.clientWidth);
      last = moved.clientX;
    };
    const release = () => document.removeEventListener("mousemove", drag);
    document.addEventListener("mousemove", drag);
    document.addEventListener("mouseup", release, { once: true });
    return undefined;
  };

  // The frame of each panel ---

  const makeToggle = (name, label) => {
    const toggle = make("button", { type: "button", className: "quiet small toggle", ariaPressed: "true" }, mark(0), label);
    toggle.addEventListener("click", () => {
      hidden.has(name) ? hidden.delete(name) : hidden.add(name);
      toggle.ariaPressed = String(!hidden.has(name));
      markStale(STALE.data);
    });
    return toggle;
  };

  const makeLog = (panel) => {
    const button = make("button", { type: "button", className: "quiet small toggle", ariaPressed: "false", title: "Logarithmic scale", textContent: "log" });
    button.ariaLabel = `Logarithmic scale of ${panel.title}`;
    button.addEventListener("click", () => {
      panel.isLog = !panel.isLog;
      button.ariaPressed = String(panel.isLog);
      markStale(STALE.data);
    });
    return button;
  };

  const prepare = (described, at) => {
    const panel = { ...described, isLargest: at === 0, isLog: false, isInSight: false, stale: STALE.data, plot: null, signature: "", lines: [], outputs: [], height: HEIGHTS.small };
    const title = make("h3", { textContent: panel.title });
    if (panel.hint) title.title = panel.hint;
    const names = Object.entries(panel.of);
    panel.toggles = new Map(names.length > 1 ? names.map(([name, label]) => [name, makeToggle(name, label)]) : []);
    panel.values = make("div", { className: "values" });
    panel.holder = make("div", { className: "plot", role: "img", ariaLabel: `${panel.title}: curves by step; the values stand above` });
    const hint = make("p", { className: "panel-hint muted small", textContent: panel.hint ?? "" });
    panel.figure = make("figure", { className: "panel", hidden: true }, make("figcaption", {}, title, ...panel.toggles.values(), ...(panel.log ? [makeLog(panel)] : [])), hint, panel.values, panel.holder);
    root.append(panel.figure);
    new ResizeObserver(() => panel.plot?.setSize({ width: Math.max(panel.holder.clientWidth, 120), height: panel.height })).observe(panel.holder);
    return panel;
  };
  const panels = PANELS.map(prepare);

  const watcher = new IntersectionObserver(
    (entries) => {
      for (const entry of entries) panels.find(({ figure }) => figure === entry.target).isInSight = entry.isIntersecting;
      request();
    },
    { rootMargin: "120px" },
  );
  panels.forEach(({ figure }) => watcher.observe(figure));

  return {
    /** Draw these runs, each `{id, number, slot, series}`; the first one on top. */
    show: (wanted) => {
      runs = wanted;
      refresh();
    },
    /** The series have changed. */
    refresh,
    /** Smooth over a share of the steps; 0 for none. */
    smooth: (value) => {
      share = value;
      markStale(STALE.data);
    },
    /** Bring one run forward; null for all. */
    focus: (id) => {
      focused = id;
      for (const { plot, lines } of panels) {
        if (!plot) continue;
        lines.forEach((line, at) => {
          plot.series[at + 1].alpha = alphaOf(line);
        });
        plot.redraw(false);
      }
    },
    zoom,
    pan,
    reset,
  };
};
