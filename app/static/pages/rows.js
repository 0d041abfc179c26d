// Pictures in rows that fill the room from edge to edge, each row at a height of its own.

const AIM = 188;
const NARROWEST = 120; // slivers keep this width for their caption
const MOST = 1.12; // of the height aimed at; a row that would be higher waits for more pictures
const SAME_ROW = 20;

// The height at which a row fills the room. Taking slivers out changes the height of the others; three
// rounds settle it.
const fitting = (ratios, room, gap) => {
  let height = AIM;
  for (let round = 0; round < 3; round += 1) {
    const wide = ratios.filter((ratio) => ratio * height >= NARROWEST);
    const taken = gap * (ratios.length - 1) + 1 + (ratios.length - wide.length) * NARROWEST;
    if (!wide.length) return AIM;
    height = (room - taken) / wide.reduce((sum, ratio) => sum + ratio, 0);
  }
  return height;
};

// The size of each picture, given by its width over its height. The last row ends ragged.
export const inRows = (all, room, gap) => {
  const sizes = [];
  let row = [];
  const close = (height) => {
    sizes.push(...row.map((ratio) => ({ width: height * ratio, height })));
    row = [];
  };
  for (const each of all) {
    row.push(Math.min(each, room / AIM));
    const height = fitting(row, room, gap);
    if (height <= AIM * MOST && height < room) close(height);
  }
  close(AIM);
  return sizes;
};

// The number of the box above (-1) or below (1) one that is nearest; rows hold different numbers of them.
export const nearest = (boxes, from, direction) => {
  let best = null;
  boxes.forEach((box, at) => {
    const rows = (box.top - boxes[from].top) * direction;
    if (rows < SAME_ROW) return;
    const cost = rows * 4 + Math.abs(box.x - boxes[from].x);
    if (!best || cost < best.cost) best = { at, cost };
  });
  return best?.at ?? null;
};
