// What one person did on a page and the server has not acknowledged: the queue, kept in this browser.

import { makeQueue } from "./queue.js";
import { makeLists } from "./tabs.js";
import { guard } from "./unsaved.js";

// See queue.js for `send` and `hears`.
export const openQueue = ({ owner, send, hears }) => {
  const queue = makeQueue({ store: makeLists(owner), send, hears });
  guard(() => queue.size() > 0);
  addEventListener("online", queue.pump);
  addEventListener("pageshow", queue.pump);
  return queue;
};
