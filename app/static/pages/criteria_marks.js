// Marks in the lines of the criteria tree the words that a filter found. The lines stay as they are: the browser
// draws the marks over the text; one that cannot shows the lines without them.

const NAME = "found";

const textOf = (link, field) => {
  const [side, what] = field.includes("_") ? field.split("_") : [null, field];
  const whole = what === "name" ? link : link.parentElement.querySelector(":scope > .definition");
  const part = side ? whole?.querySelectorAll(":scope > span")[side === "positive" ? 0 : 1] : whole;
  return part?.lastChild ?? null;
};

// The server counts characters, a range half of some.
const halves = (text, many) => (/[\ud800-\udfff]/.test(text) ? [...text].slice(0, many).join("").length : many);

const rangesIn = (node, marks) => {
  const text = node.data.trimStart();
  const before = node.data.length - text.length;
  return marks.map(([start, end]) => {
    const range = new Range();
    range.setStart(node, before + halves(text, start));
    range.setEnd(node, Math.min(node.length, before + halves(text, end)));
    return range;
  });
};

const rangesOf = (link, marks) =>
  Object.entries(marks).flatMap(([field, each]) => {
    const node = textOf(link, field);
    return node ? rangesIn(node, each) : [];
  });

// `found`: pairs of a line's link and what the server found in it.
export const markFound = (found) => {
  if (!CSS.highlights) return;
  const ranges = found.flatMap(([link, { marks }]) => rangesOf(link, marks));
  CSS.highlights.set(NAME, new Highlight(...ranges));
};

export const unmark = () => CSS.highlights?.delete(NAME);
