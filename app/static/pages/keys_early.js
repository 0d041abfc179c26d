// Keys that are pressed while a page's scripts are still on their way; keys.js acts on them when they are there.
window.morelliEarlyKeys = [];
addEventListener("keydown", (event) => window.morelliEarlyKeys?.push(event));
