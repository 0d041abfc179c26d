// Comparing two images: which of them is better, question by question.

import { startJudging } from "./judging.js";

startJudging({
  answers: { 1: "left", l: "left", 2: "tie", 0: "tie", 3: "right", r: "right" },
  arrows: ({ forward, back, answer }) => ({
    ArrowDown: forward,
    ArrowUp: back,
    ArrowLeft: () => answer("left"),
    ArrowRight: () => answer("right"),
  }),
  nextIs: "pair",
});
