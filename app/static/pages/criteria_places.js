// Where a line of the criteria tree lands when it is dragged over another one.

const EDGE = 0.3; // of a dimension's line, above and below, which means before and after it
const NEAR = 48; // pixels from the edge of the tree within which it scrolls
const FASTEST = 14; // pixels a frame

// `kind` of what is dragged, `over` the kind of the line below the pointer, `share` how far down in that line
// it is, 0 to 1; `isOpen`: what is below the line is shown. "beside" is below the dimension that the line is below.
export const landing = ({ kind, over, share, isOpen }) => {
  if (kind === "pair") return over === "dimension" ? "into" : share < 0.5 ? "before" : "after";
  if (over === "pair") return "beside";
  if (share < EDGE) return "before";
  return share > 1 - EDGE && !isOpen ? "after" : "into";
};

// How far the tree scrolls in a frame while the pointer is at `y`: the nearer to an edge, the faster.
export const pull = (y, top, bottom) => {
  const into = y < top + NEAR ? y - (top + NEAR) : y > bottom - NEAR ? y - (bottom - NEAR) : 0;
  return Math.round((Math.max(-NEAR, Math.min(NEAR, into)) / NEAR) * FASTEST);
};
