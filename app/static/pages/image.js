// The page of one image: it is looked at as closely as where it is labelled.

import { onKeys } from "./keys.js";
import { lookKeys, pan, preparePicture } from "./zoom.js";

onKeys(lookKeys, { repeats: ["+", "-"] });
const moving = (across, down) => ({ shiftKey }) => shiftKey && pan(across, down);
onKeys({
  ArrowDown: moving(0, 1),
  ArrowUp: moving(0, -1),
  ArrowLeft: moving(-1, 0),
  ArrowRight: moving(1, 0),
});
preparePicture();
