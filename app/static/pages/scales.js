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

// Where between the edges of something a point lies, from 0 to 1.
export const partAt = (point, from, length) => Math.max(0, Math.min(1, (point - from) / length));
