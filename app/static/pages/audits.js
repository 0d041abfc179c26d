// Judging an audit: whether attributes appear in the picture beside them.

import { startJudging } from "./judging.js";
import { lookKeys, pan, preparePicture } from "./zoom.js";

// With Shift the arrows move the picture; where it has the focus they do so by themselves.
const moving = (across, down, does) => (event) => (event.shiftKey ? pan(across, down) : does());

// What people of the project say of a practice question.
const showExperts = (form, { expected, agrees }) => {
  const said = form.querySelector("[data-experts]");
  const words = form.querySelector(`button[value=${expected}] span`).textContent;
  said.textContent = `The project’s people say: ${words}.`;
  said.classList.toggle("agrees", agrees);
};

preparePicture();
startJudging({
  answers: { 1: "appears", a: "appears", 2: "does_not_appear", d: "does_not_appear", 3: "cannot_tell", c: "cannot_tell" },
  keys: lookKeys,
  arrows: ({ forward, back }) => ({
    ArrowDown: moving(0, 1, forward),
    ArrowRight: moving(1, 0, forward),
    ArrowUp: moving(0, -1, back),
    ArrowLeft: moving(-1, 0, back),
  }),
  except: "#stage",
  practised: showExperts,
  nextIs: "image",
});
