// Stands in for node:test in a browser: the files of tests/scripts need this much of it.

const tests = [];

const test = (name, does) => tests.push({ name, does });
export default test;

// Runs what the last file asked for, one after the other as node does, and tells what failed.
export const run = async () => {
  const told = [];
  for (const { name, does } of tests.splice(0)) {
    let error = null;
    try {
      await does();
    } catch (failed) {
      error = `${failed.message}\n${failed.stack}`;
    }
    told.push({ name, error });
  }
  return told;
};
