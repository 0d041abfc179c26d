// Files on their way to the server.

import { Failed, failedOf, signInOf } from "./requests.js";

// Sends a form with files and tells how many bytes are on their way; fetch cannot. What fails is thrown
// as Failed. Returns where the answer leads.
export const send = (address, body, { onProgress = () => {} } = {}) =>
  new Promise((resolve, reject) => {
    const asked = new XMLHttpRequest();
    asked.open("POST", address);
    asked.setRequestHeader("HX-Request", "true");
    asked.upload.addEventListener("progress", ({ loaded }) => onProgress(loaded));
    asked.addEventListener("error", () => reject(new Failed(0)));
    asked.addEventListener("abort", () => reject(new Failed(0)));
    asked.addEventListener("load", () => {
      const leads = asked.getResponseHeader("HX-Redirect");
      if (signInOf(leads)) return reject(new Failed(401));
      return asked.status < 400 ? resolve(leads) : reject(failedOf(asked));
    });
    asked.send(body);
  });
