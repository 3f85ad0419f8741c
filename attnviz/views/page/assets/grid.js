// A grid of coloured cells with labels: numbers on a canvas, labels in SVG, and one cell that the keyboard can reach.

const CELL = { most: 30, lines: 7, slanted: 16, numbers: 25 }; // pixels: at most; from where on there is room for what
const MOST_NUMBERS = 900;
const LABEL = 12; // pixels of a label's type
const LABEL_ROOM = 150; // pixels that a label takes at most
const SLANT = Math.SQRT1_2;

const measuring = document.createElement("canvas").getContext("2d");

/** Return a text cut to the room for labels, and its width. */
function fitLabel(text) {
  measuring.font = `${LABEL}px system-ui, sans-serif`;
  let shown = clip(text, 24);
  while (measuring.measureText(shown).width > LABEL_ROOM) shown = clip(shown, Array.from(shown).length - 2);
  return { text: shown, width: Math.min(measuring.measureText(shown).width * 1.08, LABEL_ROOM) };
}

/** A grid: `rows` and `columns` are labels, `value(row, column)` gives numbers; `enter`, `leave` and `pick` are told of
    the pointer. `named` says of which axis each side is. Cells are squares, unless rows are to be `least` pixels high. */
class Grid {
  constructor({ rows, columns, value, scale, width, least = 0, name, named, enter, leave, pick }) {
    Object.assign(this, { rows: rows.map(fitLabel), columns: columns.map(fitLabel), value, scale });
    this.left = Math.max(...this.rows.map((label) => label.width), 94) + 10;
    const longest = Math.max(...this.columns.map((label) => label.width), 30);
    const room = width - this.left - 8;
    this.angle = (room - longest * SLANT) / columns.length >= CELL.slanted ? -45 : -90;
    const slanted = this.angle === -45 ? longest * SLANT : 0;
    this.top = (slanted || longest) + 14;
    const cell = clamp((room - slanted) / columns.length, 1, CELL.most);
    this.cell = cell < CELL.lines ? cell : Math.floor(cell);
    this.high = Math.max(this.cell, least);
    this.right = slanted + 8;
    this.canvas = element("canvas", { width: columns.length, height: rows.length });
    this.labels = shape("svg", { "aria-hidden": "true" });
    this.focus = element("div", { role: "gridcell", tabindex: "0" });
    this.focusRow = element("div", { role: "row" }, this.focus);
    this.root = element(
      "div",
      { class: "grid", role: "grid", "aria-label": name, "aria-rowcount": rows.length, "aria-colcount": columns.length, onpointermove: (event) => this.tell(event, enter), onpointerleave: leave, onclick: (event) => this.tell(event, pick) },
      this.canvas, this.labels, this.focusRow,
    );
    this.place();
    paint(this.canvas, scale, [rows.length, columns.length], value);
    this.label(named);
  }

  get size() {
    return [this.columns.length * this.cell, this.rows.length * this.high];
  }

  place() {
    const [across, down] = this.size;
    const [width, height] = [this.left + across + this.right, this.top + down + 8];
    Object.assign(this.root.style, { width: `${width}px`, height: `${height}px` });
    placeAt(this.canvas, "px", this.left, this.top, across, down);
    furnish(this.labels, { width, height, viewBox: `0 0 ${width} ${height}` });
  }

  /** Write the labels, as many as there is room for, and numbers into cells that are large enough. */
  label({ down, across }) {
    const { cell, high, left, top } = this;
    const every = (size) => Math.ceil((LABEL + 1) / size);
    const [width, height] = this.size;
    this.rowTexts = this.rows.map((label, row) => (row % every(high) ? null : shape("text", { x: left - 6, y: top + (row + 0.5) * high, class: "row" }, label.text)));
    this.columnTexts = this.columns.map((label, column) => {
      const [x, y] = [left + (column + 0.5) * cell + (this.angle === -45 ? 3 : 0), top - 5];
      return column % every(cell) ? null : shape("text", { x, y, transform: `rotate(${this.angle} ${x} ${y})`, class: "column" }, label.text);
    });
    const lines = [];
    if (high >= CELL.lines) for (let row = 1; row < this.rows.length; row++) lines.push(`M${left} ${top + row * high}h${width}`);
    if (cell >= CELL.lines) for (let column = 1; column < this.columns.length; column++) lines.push(`M${left + column * cell} ${top}v${height}`);
    this.band = shape("rect", { class: "band" });
    this.cursor = shape("rect", { class: "cursor" });
    const corner = shape("text", { x: left - 6, y: top + Math.min(high / 2 - 13, -6), class: "corner" }, `${down} ↓  ${across} →`);
    this.labels.replaceChildren(shape("path", { d: lines.join(""), }), ...this.numbers(), corner, ...this.rowTexts.filter(Boolean), ...this.columnTexts.filter(Boolean), this.band, this.cursor);
  }

  numbers() {
    const { cell, high, left, top } = this;
    if (cell < CELL.numbers || this.rows.length * this.columns.length > MOST_NUMBERS) return [];
    return this.rows.flatMap((_, row) =>
      this.columns.map((_, column) => {
        const value = this.value(row, column);
        return shape("text", { x: left + (column + 0.5) * cell, y: top + (row + 0.5) * high, class: "number", fill: this.scale.ink(value) }, formatShort(value));
      }),
    );
  }

  tell(event, listener) {
    const [row, column] = findCell(event, this.canvas, this.rows.length, this.columns.length);
    if (this.rows[row]) listener(row, this.columns[column] ? column : null);
  }

  /** Mark a row, and a cell of it; `said` is what the focused cell says. */
  mark(row, column, said) {
    const { cell, left, top } = this;
    const [width] = this.size;
    const [x, y, across, down] = [left + (column ?? 0) * cell, top + row * this.high, Math.max(cell, 3), Math.max(this.high, 3)];
    furnish(this.band, { x: left, y, width, height: down });
    furnish(this.cursor, { x, y, width: across, height: down });
    this.cursor.classList.toggle("none", column === null);
    this.rowTexts.forEach((text, at) => text?.classList.toggle("chosen", at === row));
    this.columnTexts.forEach((text, at) => text?.classList.toggle("chosen", at === column));
    this.focusRow.setAttribute("aria-rowindex", row + 1);
    this.focus.setAttribute("aria-colindex", (column ?? 0) + 1);
    this.focus.textContent = said;
    placeAt(this.focus, "px", x, y, across, down);
  }
}
