// What a browser keeps for a page. It may forbid that: then nothing is found, and nothing fails.

const attempt = (does) => {
  try {
    return does();
  } catch {
    return null;
  }
};

const keeper = (open) => ({
  read: (name) => attempt(() => JSON.parse(open().getItem(name))),
  write: (name, value) => attempt(() => open().setItem(name, JSON.stringify(value))),
  remove: (name) => attempt(() => open().removeItem(name)),
  names: (start) => attempt(() => Object.keys(open()).filter((name) => name.startsWith(start))) ?? [],
});

export const inBrowser = keeper(() => localStorage);
// For as long as the tab is open; loading the page again keeps it.
export const inTab = keeper(() => sessionStorage);

// Choices that hold until someone switches them off in this browser.
export const isOn = (name) => attempt(() => localStorage.getItem(name)) !== "off";
export const switchTo = (name, on) => attempt(() => localStorage.setItem(name, on ? "on" : "off"));
