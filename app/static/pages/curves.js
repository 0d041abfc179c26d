// Curves of a run: small multiples with one crosshair, zoomed together, in the colours of the theme.
/* global uPlot */

const PANELS = [
  { title: "Win and lose", hint: "Below 0: nearer to that target than the reference is. The winning part should fall.", of: { winning: (row) => row.win, losing: (row) => row.lose } },
  { title: "Win − lose", hint: "Below 0: the run has gained more on the winner than on the loser.", of: { "": (row) => (row.win == null || row.lose == null ? null : row.win - row.lose) } },
  { title: "Loss", of: { "": (row) => row.loss } },
  { title: "Implicit accuracy", hint: "Share of images where the winner gained on the loser.", of: { "": (row) => row.accuracy }, range: [0, 1] },
  { title: "Gradient norm", of: { "": (row) => row.grad_norm } },
  { title: "Learning rate", of: { "": (row) => row.lr }, plain: true },
  { title: "Distance from the reference", of: { "": (row) => row.drift } },
  { title: "Weight of the loser ρ", of: { "": (row) => row.rho } },
  { title: "Factor before the gradient", hint: "One half at the start, near 0 once an image is learned.", of: { "": (row) => row.factor } },
  { title: "Images per second", of: { "": (row) => row.images_per_second } },
  { title: "Memory, MB", of: { "": (row) => row.memory_mb }, plain: true },
];

const WHOLE = [1, 2, 5].flatMap((each) => Array.from({ length: 8 }, (_, power) => each * 10 ** power)).sort((one, two) => one - two);

const color = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
const curveColor = (number) => color(`--curve-${number}`);

export const short = (value) => {
  if (value == null) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e6)) return value.toExponential(2).replaceAll("-", "−").replace("e+", "e");
  return String(Number(value.toPrecision(4))).replace("-", "−");
};

// An exponential mean that is not pulled to zero at the start; gaps stay gaps.
const smoothed = (values, weight) => {
  if (!weight) return values;
  let mean = 0;
  let mass = 0;
  return values.map((value) => {
    if (value == null) return null;
    mean = weight * mean + (1 - weight) * value;
    mass = weight * mass + (1 - weight);
    return mean / mass;
  });
};

const rowsInOrder = (rows) => [...rows.values()].sort((one, two) => one.step - two.step);

/** Curves in `root`. `onZoom(from, to)` hears of a part of the run that is looked at closely. */
export const makeCurves = (root, { onZoom, onZoomed }) => {
  let rows = [];
  let others = [];
  let weight = 0;
  let zoomed = false;
  let telling = 0;
  const plots = new Map();
  const sync = uPlot.sync("run");

  const holds = (list, panel) => list.some((row) => Object.values(panel.of).some((of) => of(row) != null));
  const has = (panel) => holds(rows, panel) || holds(others, panel);

  const tables = (panel) => {
    const tables = Object.values(panel.of).map((of) => [rows.map((row) => row.step), smoothed(rows.map((row) => of(row) ?? null), weight)]);
    if (others.length) tables.push([others.map((row) => row.step)]); // one scale for all panels
    if (holds(others, panel)) {
      for (const of of Object.values(panel.of)) tables.push([others.map((row) => row.step), smoothed(others.map((row) => of(row) ?? null), weight)]);
    }
    return tables.length === 1 ? tables[0] : uPlot.join(tables);
  };

  const axis = (extra) => ({
    stroke: () => color("--ink-3"),
    font: "11px Inter, system-ui, sans-serif",
    grid: { stroke: () => color("--line"), width: 1 },
    ticks: { show: false },
    ...extra,
  });

  const options = (panel, holder, outputs) => {
    const names = Object.keys(panel.of);
    const line = (number, dash) => ({ stroke: () => curveColor(number), width: dash ? 1.25 : 1.5, dash, spanGaps: true, points: { show: (plot) => plot.data[0].length < 3 } });
    const series = names.map((_, index) => line(index + 1));
    if (holds(others, panel)) series.push(...names.map((_, index) => line(index + 1, [4, 3])));
    return {
      width: Math.max(holder.clientWidth, 120),
      height: 132,
      legend: { show: false },
      padding: [6, 16, 0, 0],
      cursor: { sync: { key: "run" }, y: false, points: { size: 5 } },
      scales: { x: { time: false }, y: panel.range ? { range: panel.range } : {} },
      axes: [
        axis({ size: 24, gap: 3, space: 60, incrs: WHOLE, values: (_, ticks) => ticks.map(String) }),
        axis({ size: 54, gap: 4, space: 26, values: (_, ticks) => ticks.map(short) }),
      ],
      series: [{}, ...series],
      hooks: {
        setCursor: [(plot) => tell(plot, outputs)],
        setScale: [(plot, key) => key === "x" && noteZoom(plot)],
      },
    };
  };

  const tell = (plot, outputs) => {
    const at = plot.cursor.idx;
    outputs.forEach((output, index) => {
      const values = plot.data[index + 1];
      const value = at == null ? values.findLast((each) => each != null) : values[at];
      output.textContent = `${output.dataset.name ? `${output.dataset.name} ` : ""}${short(value)}`;
    });
  };

  const noteZoom = (plot) => {
    const steps = plot.data[0];
    if (steps.length < 2) return;
    const { min, max } = plot.scales.x;
    const now = min > steps[0] || max < steps.at(-1);
    if (now !== zoomed) {
      zoomed = now;
      onZoomed(zoomed);
    }
    if (!zoomed) return;
    clearTimeout(telling);
    telling = setTimeout(() => onZoom(Math.floor(min), Math.ceil(max)), 250);
  };

  const build = (panel) => {
    const figure = document.createElement("figure");
    figure.className = "panel";
    const caption = document.createElement("figcaption");
    const title = document.createElement("h3");
    title.textContent = panel.title;
    if (panel.hint) title.title = panel.hint;
    caption.append(title);
    const names = Object.keys(panel.of);
    const wanted = holds(others, panel) ? [...names, ...names.map(() => "")] : names;
    const outputs = wanted.map((name, index) => {
      const output = document.createElement("output");
      output.dataset.name = name;
      output.dataset.curve = String((index % names.length) + 1);
      if (index >= names.length) Object.assign(output, { className: "other", title: "The other run" });
      output.ariaLive = "off";
      return output;
    });
    caption.append(...outputs);
    const holder = document.createElement("div");
    holder.className = "plot";
    figure.append(caption, holder);
    root.append(figure);
    const data = tables(panel);
    const plot = new uPlot(options(panel, holder, outputs), data, holder);
    tell(plot, outputs);
    const watcher = new ResizeObserver(() => plot.setSize({ width: Math.max(holder.clientWidth, 120), height: 132 }));
    watcher.observe(holder);
    plots.set(panel, { plot, figure, watcher, outputs });
  };

  const rebuild = () => {
    for (const { plot, figure, watcher } of plots.values()) {
      watcher.disconnect();
      plot.destroy();
      figure.remove();
    }
    plots.clear();
    zoomed = false;
    onZoomed(false);
    PANELS.filter(has).forEach(build);
  };

  const draw = () => {
    const wanted = PANELS.filter(has);
    if (wanted.length !== plots.size || wanted.some((panel) => !plots.has(panel))) return rebuild();
    for (const [panel, { plot, outputs }] of plots) {
      const { min, max } = plot.scales.x;
      plot.setData(tables(panel), !zoomed);
      if (zoomed) plot.setScale("x", { min, max });
      if (plot.cursor.idx == null) tell(plot, outputs);
    }
    return undefined;
  };

  const repaint = () => plots.forEach(({ plot }) => plot.redraw(false));
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", repaint);
  new MutationObserver(repaint).observe(document.documentElement, { attributeFilter: ["data-theme"] });

  return {
    show: (all) => {
      rows = rowsInOrder(all);
      draw();
    },
    compare: (all) => {
      others = rowsInOrder(all);
      rebuild();
    },
    smooth: (value) => {
      weight = value;
      draw();
    },
    reset: () => {
      for (const { plot } of plots.values()) {
        const steps = plot.data[0];
        if (steps.length) plot.setScale("x", { min: steps[0], max: steps.at(-1) });
      }
    },
    sync,
  };
};
