// What the server tells by itself, as it happens.

// `hears` maps the names of news to what they do; "error" among them.
export const listenTo = (address, hears) => {
  const stream = new EventSource(address);
  for (const [name, does] of Object.entries(hears)) stream.addEventListener(name, does);
  return stream;
};
