// What a browser keeps, made for the time of a test.

export const makeStorage = (from = {}) =>
  Object.assign(
    Object.create({
      getItem(name) {
        return Object.hasOwn(this, name) ? this[name] : null;
      },
      setItem(name, value) {
        this[name] = String(value);
      },
      removeItem(name) {
        delete this[name];
      },
    }),
    from,
  );

// Does something where the globals of these names are defined so; afterwards they are as before.
export const within = async (globals, does) => {
  const before = Object.keys(globals).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)]);
  for (const [name, is] of Object.entries(globals)) Object.defineProperty(globalThis, name, { ...is, configurable: true });
  try {
    return await does();
  } finally {
    for (const [name, was] of before) {
      if (was) Object.defineProperty(globalThis, name, was);
      else delete globalThis[name];
    }
  }
};
