// What leaves the page: the status line as text, the current view as SVG.

/** Copy the text of an element; where that is refused, it is selected, so that it can be copied by hand. */
async function copyText(line) {
  getSelection().selectAllChildren(line);
  await navigator.clipboard.writeText(line.textContent);
}

/** Return a view as a document of SVG: its canvases, its drawings and its tokens, where they stand. */
function viewToSvg(root, title) {
  const bounds = root.getBoundingClientRect();
  const [width, height] = [Math.ceil(root.scrollWidth), Math.ceil(root.scrollHeight) + 8];
  const place = (part) => {
    const box = part.getBoundingClientRect();
    return { x: box.left - bounds.left + root.scrollLeft, y: box.top - bounds.top + root.scrollTop, width: box.width, height: box.height };
  };
  const whole = shape("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}`, "font-family": "system-ui, sans-serif" }, shape("title", {}, title));
  whole.append(shape("rect", { width, height, fill: getComputedStyle(document.body).backgroundColor }));
  for (const part of root.querySelectorAll("canvas, svg, [data-group], .bars b, h3, .caption")) {
    if (part.matches("canvas")) whole.append(shape("image", { ...place(part), href: enlarge(part, place(part)), preserveAspectRatio: "none" }));
    else if (part.matches("svg")) whole.append(copyDrawing(part, place(part)));
    else whole.append(...copyBox(part, place(part)));
  }
  return `<?xml version="1.0" encoding="UTF-8"?>\n${new XMLSerializer().serializeToString(whole)}\n`;
}

/** Return a canvas as a picture whose cells stay sharp wherever it is scaled. */
function enlarge(canvas, { width, height }) {
  const large = element("canvas", { width: Math.round(width), height: Math.round(height) });
  const context = large.getContext("2d");
  context.imageSmoothingEnabled = false;
  context.drawImage(canvas, 0, 0, large.width, large.height);
  return large.toDataURL("image/png");
}

const KEPT = ["fill", "stroke", "stroke-width", "stroke-opacity", "font-size", "font-weight", "text-anchor", "dominant-baseline"];

function copyDrawing(svg, { x, y }) {
  const group = shape("g", { transform: `translate(${x} ${y})` });
  for (const child of svg.children) {
    const style = getComputedStyle(child);
    if (style.display === "none") continue;
    const copy = child.cloneNode(true);
    copy.removeAttribute("class");
    for (const name of KEPT) copy.setAttribute(name, style.getPropertyValue(name));
    group.append(copy);
  }
  return group;
}

/** Return the box of an element in its own colour, and its text if it holds one. */
function copyBox(part, { x, y, width, height }) {
  const style = getComputedStyle(part);
  const made = [];
  if (style.backgroundColor !== "rgba(0, 0, 0, 0)") made.push(shape("rect", { x, y, width, height, rx: 2, fill: style.backgroundColor }));
  if (style.borderBottomStyle === "solid") made.push(shape("rect", { x, y: y + height - 2.5, width, height: 2.5, fill: style.borderBottomColor }));
  if (part.matches(".active, .paired")) made.push(shape("rect", { x, y, width, height, rx: 2, fill: "none", stroke: style.outlineColor }));
  const text = part.matches("[data-group]") ? part.firstChild : part;
  if (text.textContent) {
    const range = document.createRange();
    range.selectNodeContents(text);
    const box = range.getBoundingClientRect();
    const from = part.getBoundingClientRect();
    made.push(shape("text", { x: x + box.left - from.left, y: y + (box.top - from.top) + box.height / 2, "dominant-baseline": "central", fill: style.color, "font-size": style.fontSize, "font-weight": style.fontWeight, "font-family": style.fontFamily }, text.textContent));
  }
  return made;
}

function saveSvg(content) {
  const url = URL.createObjectURL(new Blob([content], { type: "image/svg+xml" }));
  element("a", { href: url, download: "attention.svg" }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}
