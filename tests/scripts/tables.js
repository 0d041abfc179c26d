// A table of tests/ that Python tests read, too.

export const readTable = async (name) => {
  const address = new URL(`../${name}`, import.meta.url);
  if (address.protocol !== "file:") return (await fetch(address)).json();
  const { readFile } = await import("node:fs/promises");
  return JSON.parse(await readFile(address, "utf8"));
};
