// The overview: a small picture of every head, layers down and heads across, the telling ones marked.

class Overview {
  constructor(state, toggle) {
    this.state = state;
    this.toggle = toggle;
    this.canvas = element("canvas");
    this.rings = element("div", { class: "rings" });
    this.focus = element("div", { role: "gridcell", tabindex: "0" });
    this.row = element("div", { role: "row" }, this.focus);
    this.tiles = element("div", { class: "tiles", role: "grid", "aria-label": "All heads: layers down, heads across", onclick: (event) => this.pick(event), ondblclick: (event) => this.state.showAlone(...this.under(event)), onpointermove: (event) => this.name(event) }, this.canvas, this.rings, this.row);
    this.layers = element("div", { class: "layers", "aria-hidden": "true" });
    this.heads = element("div", { class: "heads", "aria-hidden": "true" });
    this.meant = note();
    this.linked = element("button", { title: "(o)", "aria-keyshortcuts": "o", onclick: () => state.set({ linked: !state.linked }) }, "show as links");
    this.root = element("section", { class: "overview", "aria-label": "Heads" },
      element("h2", {}, "Heads"),
      element("div", { class: "frame" }, element("span", { class: "axes", "aria-hidden": "true" }, "layer ↓ head →"), this.heads, this.layers, this.tiles),
      this.meant, this.linked);
  }

  async draw(scale) {
    const { state, canvas } = this;
    const record = state.current;
    const [layers, heads] = record.shape;
    const numbers = await record.thumbnails();
    if (record !== state.current) return;
    const { linked, turned } = state;
    const [rows, columns] = turned ? record.thumbnail.toReversed() : record.thumbnail;
    const gap = Math.max(Math.round(Math.max(rows, columns) / 9), 1);
    const [width, height] = [heads * (columns + gap) - gap, layers * (rows + gap) - gap];
    this.tiles.parentElement.style.maxWidth = `${Math.min(64 * heads, 600) + 28}px`;
    this.tiles.style.aspectRatio = `${width} / ${height}`;
    const zoom = linked ? Math.ceil((2 * this.tiles.clientWidth) / width) : 1;
    furnish(canvas, { width: width * zoom, height: height * zoom }).classList.toggle("linked", linked);
    const draw = linked ? paintLinks : paint;
    for (let at = 0; at < layers * heads; at++) {
      const start = at * rows * columns;
      const value = (row, column) => numbers(start + (turned ? column * rows + row : row * columns + column));
      draw(canvas, scale, [rows, columns], value, (at % heads) * (columns + gap) * zoom, Math.floor(at / heads) * (rows + gap) * zoom, zoom);
    }
    this.pitch = [(columns + gap) / width, (rows + gap) / height, columns / width, rows / height];
    this.number(this.layers, record.layers, 1, "top");
    this.number(this.heads, record.heads, 0, "left");
    furnish(this.tiles, { "aria-rowcount": layers, "aria-colcount": heads });
    this.mark(scale);
  }

  /** Write the numbers of layers or heads, as many as there is room for. */
  number(root, indices, axis, side) {
    const every = Math.ceil(indices.length / 16);
    root.replaceChildren(...indices.map((index, at) => {
      const text = element("span", {}, at % every ? "" : indexName(index));
      text.style[side] = `${100 * (at * this.pitch[axis] + this.pitch[axis + 2] / 2)}%`;
      return text;
    }));
  }

  box(made, layer, head) {
    const [across, down, width, height] = this.pitch.map((share) => 100 * share);
    return placeAt(made, "%", head * across, layer * down, width, height);
  }

  mark(scale) {
    if (!this.pitch) return;
    this.scale = scale ?? this.scale;
    const { state } = this;
    const record = state.current;
    this.linked.setAttribute("aria-pressed", state.linked);
    const [most, next] = record.marks;
    this.meant.replaceChildren(element("i", { class: "dot telling" }), `${most}  `, element("i", { class: "dot" }), next);
    const dots = record.marked.map(([layer, head]) => this.box(element("i", { class: "mark" }), layer, head));
    if (record.telling) dots.push(this.box(element("i", { class: "mark telling" }), ...record.telling));
    const several = state.shown.length > 1;
    const chosen = state.shown.map(([layer, head], at) => {
      const ring = this.box(element("i", { class: at ? "ring" : "ring current" }), layer, head);
      if (several && this.scale) ring.style.color = this.scale.head(at);
      return ring;
    });
    this.rings.replaceChildren(...dots, ...chosen);
    this.box(this.focus, state.layer, state.head);
    this.row.setAttribute("aria-rowindex", state.layer + 1);
    this.focus.setAttribute("aria-colindex", state.head + 1);
    this.focus.textContent = this.title(state.layer, state.head);
  }

  title(layer, head) {
    const record = this.state.current;
    return [`layer ${indexName(record.layers[layer])} head ${indexName(record.heads[head])}`, record.label(layer, head)].filter(Boolean).join(": ");
  }

  /** Return the layer and head under the pointer. */
  under(event) {
    const [layers, heads] = this.state.current.shape;
    const [layer, head] = findCell(event, this.tiles, layers, heads);
    return [clamp(layer, 0, layers - 1), clamp(head, 0, heads - 1)];
  }

  name(event) {
    if (this.pitch) this.tiles.title = this.title(...this.under(event));
  }

  pick(event) {
    const [layer, head] = this.under(event);
    if (event.shiftKey || event.ctrlKey || event.metaKey) this.toggle(layer, head);
    else this.state.set({ layer, head });
  }
}

const SHADES = 8; // of the lines in a small picture

/** Draw a line for each number onto a canvas, from its row on the left to its column on the right: the stronger, the
    more of it is seen. Lines of one shade are one path, so that there are few of these. */
function paintLinks(canvas, scale, [rows, columns], value, x, y, zoom) {
  const [width, height] = [columns * zoom, rows * zoom];
  const paths = new Map();
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      const number = value(row, column);
      const shade = Math.round(Math.sign(number) * scale.strength(number) * SHADES);
      if (!shade) continue;
      if (!paths.has(shade)) paths.set(shade, new Path2D());
      paths.get(shade).moveTo(x, y + (row + 0.5) * zoom);
      paths.get(shade).lineTo(x + width, y + ((column + 0.5) / columns) * height);
    }
  }
  const context = canvas.getContext("2d");
  context.fillStyle = scale.css(0);
  context.fillRect(x, y, width, height);
  context.lineWidth = Math.min(0.35 * zoom, 2);
  for (const shade of [...paths.keys()].sort((one, other) => Math.abs(one) - Math.abs(other))) {
    context.globalAlpha = Math.abs(shade) / SHADES;
    context.strokeStyle = scale.head(scale.signed && shade > 0 ? 1 : 0);
    context.stroke(paths.get(shade));
  }
  context.globalAlpha = 1;
}
