// How large a picture is shown: screen pixels for each of its own.

const STEPS = [1, 2, 4, 8, 16];
const NEAR = 0.02; // as near to a scale that it is the same

export const LARGEST = STEPS.at(-1);

// The scale at which a picture fits into the room, both in pixels of the page; `density` screen pixels for each.
export const fittedTo = (room, size, density = 1) =>
  Math.min(room.width / size.width, room.height / size.height) * density;

export const stepAbove = (scale) => STEPS.find((each) => each > scale * (1 + NEAR)) ?? LARGEST;
// null: there is none, so it is fitted.
export const stepBelow = (scale) => STEPS.findLast((each) => each < scale * (1 - NEAR)) ?? null;

// What a wish comes to, null for fitted: a picture is never smaller than fitted, nor larger than the last step.
export const bounded = (wanted, fitted) =>
  wanted !== null && wanted > fitted * (1 + NEAR) ? Math.min(wanted, Math.max(LARGEST, fitted)) : null;

const MOST_LEFT_OUT = 20; // pixels of the page

// The largest whole number of pixels of the page within a length that is a whole number of screen pixels too, so
// that a canvas of that size is shown as it is drawn.
export const wholeWithin = (length, density = 1) => {
  const most = Math.floor(length);
  for (let size = most; size > Math.max(0, most - MOST_LEFT_OUT); size -= 1) {
    if (Math.abs(size * density - Math.round(size * density)) < 1e-6) return size;
  }
  return most;
};
