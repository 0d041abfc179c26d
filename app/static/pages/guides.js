// Lines that divide a picture, as painters lay them over it to judge how it is composed.

const GOLDEN = (Math.sqrt(5) - 1) / 2;

const across = (parts) => ({ width, height }) =>
  parts.flatMap((part) => [
    [part * width, 0, part * width, height],
    [0, part * height, width, part * height],
  ]);

const corners = ({ width, height }) => [
  [0, 0, width, height],
  [0, height, width, 0],
];

const KINDS = {
  Thirds: across([1 / 3, 2 / 3]),
  "Golden section": across([1 - GOLDEN, GOLDEN]),
  Diagonals: (size) => [...corners(size), ...across([1 / 2])(size)],
};
const NAMES = Object.keys(KINDS);

// The kind that follows: after the last one and after null the first, then null.
export const guideAfter = (kind) => (kind === null ? NAMES[0] : (NAMES[NAMES.indexOf(kind) + 1] ?? null));

// The lines of a kind over a picture of this size, each [x1, y1, x2, y2]; none for null.
export const linesOf = (kind, size) => KINDS[kind]?.(size) ?? [];
