// Elements and numbers as text. Text is always set as text, never read as HTML.

/** Return an element with attributes, listeners (functions under "onclick" and the like) and children. */
function element(name, attributes = {}, ...children) {
  return furnish(document.createElement(name), attributes, children);
}

/** Return an element of SVG. */
function shape(name, attributes = {}, ...children) {
  return furnish(document.createElementNS("http://www.w3.org/2000/svg", name), attributes, children);
}

function furnish(made, attributes, children = []) {
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") made.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) made.setAttribute(name, value === true ? "" : value);
  }
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

const note = (...children) => element("p", { class: "note" }, ...children);

/** Put an element into a box, in pixels or in percent of what it stands in. */
function placeAt(made, unit, left, top, width, height) {
  Object.entries({ left, top, width, height }).forEach(([side, value]) => (made.style[side] = value + unit));
  return made;
}

/** Return the row and the column under the pointer, of so many that fill an element; they may lie beyond it. */
function findCell(event, root, rows, columns) {
  const { left, top, width, height } = root.getBoundingClientRect();
  return [Math.floor(((event.clientY - top) / height) * rows), Math.floor(((event.clientX - left) / width) * columns)];
}

const LONGEST = 60; // characters of a token, wherever it is shown

function clip(text, longest = LONGEST) {
  const characters = Array.from(text.slice(0, 2 * longest + 2));
  return characters.length > longest ? characters.slice(0, longest).join("") + "…" : characters.join("");
}

/** Return a text so that, written from right to left, it does not turn what stands beside it in a line. */
function isolate(text) {
  return /[\u0590-\u08ff]/.test(text) ? `\u2068${clip(text)}\u2069` : clip(text);
}

/** Write a number: two decimals, or if they would be zeros one digit; `signed` with its sign. */
function format(value, signed) {
  const size = Math.abs(value);
  const text = !size || size >= 0.005 ? size.toFixed(2) : size < 1e-4 ? size.toExponential(0) : size.toPrecision(1);
  return (value < 0 ? "−" : signed && value ? "+" : "") + text;
}

/** Write a number into a cell: `.64`, `1`, `2.5`, and a dot for next to nothing. */
function formatShort(value) {
  const size = Math.abs(value);
  if (size < 0.005) return "·";
  const text = size.toFixed(size < 1.005 ? 2 : 1);
  return (value < 0 ? "−" : "") + (text === "1.00" ? "1" : text.replace(/^0/, ""));
}

function indexName(index) {
  return index < 0 ? "mean" : String(index);
}

/** Write a head as `LAYER.HEAD`. */
function headName({ layers, heads }, layer, head) {
  return `${indexName(layers[layer])}.${indexName(heads[head])}`;
}

const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

const facing = (side) => (side === "query" ? "key" : "query");
