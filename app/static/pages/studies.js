// Comparing two images: which of them is better, question by question.

import { startJudging } from "./judging.js";
import { pairKeys, panPair, preparePair } from "./pair_zoom.js";

// With Shift the arrows move both images.
const moving = (right, down, does) => (event) => (event.shiftKey ? panPair(right, down) : does());

// What people of the project say of a practice pair.
const showExperts = (form, { expected, agrees }) => {
  const said = form.querySelector("[data-experts]");
  const words = expected && form.querySelector(`button[value=${expected}] span`).textContent;
  said.textContent = words ? `The project’s people say: ${words}.` : "The project’s people have said nothing of this.";
  said.classList.toggle("agrees", agrees);
};

preparePair();
startJudging({
  answers: { 1: "left", l: "left", 2: "tie", 0: "tie", 3: "right", r: "right" },
  keys: pairKeys,
  arrows: ({ forward, back, answer }) => ({
    ArrowDown: moving(0, 1, forward),
    ArrowUp: moving(0, -1, back),
    ArrowLeft: moving(-1, 0, () => answer("left")),
    ArrowRight: moving(1, 0, () => answer("right")),
  }),
  practised: showExperts,
  nextIs: "pair",
});
