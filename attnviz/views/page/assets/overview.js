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
    this.meant = element("p", { class: "note" });
    this.root = element("section", { class: "overview", "aria-label": "Heads" },
      element("h2", {}, "Heads"),
      element("div", { class: "frame" }, element("span", { class: "axes", "aria-hidden": "true" }, "layer ↓ head →"), this.heads, this.layers, this.tiles),
      this.meant);
  }

  async draw(scale) {
    const { state, canvas } = this;
    const record = state.current;
    const [layers, heads] = record.shape;
    const { values, size } = await record.thumbnails();
    if (record !== state.current) return;
    const [rows, columns] = state.turned ? [size[1], size[0]] : size;
    const gap = Math.max(Math.round(Math.max(rows, columns) / 9), 1);
    canvas.width = heads * (columns + gap) - gap;
    canvas.height = layers * (rows + gap) - gap;
    for (let at = 0; at < layers * heads; at++) {
      const start = at * rows * columns;
      const value = (row, column) => values[start + (state.turned ? column * rows + row : row * columns + column)];
      paint(canvas, scale, [rows, columns], value, (at % heads) * (columns + gap), Math.floor(at / heads) * (rows + gap));
    }
    this.pitch = [(columns + gap) / canvas.width, (rows + gap) / canvas.height, columns / canvas.width, rows / canvas.height];
    const most = Math.min(64 * heads, 600); // pixels
    this.tiles.parentElement.style.maxWidth = `${most + 28}px`;
    this.tiles.style.aspectRatio = `${canvas.width} / ${canvas.height}`;
    this.number(this.layers, record.layers, 1, "top");
    this.number(this.heads, record.heads, 0, "left");
    this.tiles.setAttribute("aria-rowcount", layers);
    this.tiles.setAttribute("aria-colcount", heads);
    this.mark();
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
