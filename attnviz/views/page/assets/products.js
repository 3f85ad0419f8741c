// Products: what each dimension of a query and a key adds to their score.

/** Return why the products of what is shown cannot be shown, if so. */
function findObstacle({ state, record, named: { query, key } }) {
  if (!record.terms) return "";
  if (state.averaged) return "A mean of heads has no queries and keys of its own.";
  if (!query || !key) return "Nothing is chosen.";
  if (query.members.length > 1 || key.members.length > 1) return "A word of several tokens has as many queries and keys: show its pieces (w).";
  return null;
}

const ACROSS = 32; // dimensions that stand side by side

/** The query and the key of the pair that is named, and their products: cells, their sum, the score and the weight. */
class PairProducts {
  constructor(state) {
    this.state = state;
    this.root = element("section", { class: "products", "aria-label": "Dimensions of q·k" });
  }

  async draw(scene) {
    const { state } = this;
    const turn = (this.turn = {});
    const obstacle = findObstacle(scene);
    if (obstacle !== null || !(state.locked || state.view === "products")) {
      this.root.replaceChildren(...(obstacle === "" || state.averaged ? [] : [note(obstacle ?? "Lock a token to see the dimensions of q·k.")]));
      return;
    }
    const { query, key } = scene.named;
    const terms = await scene.record.terms.head(state.layer, state.head);
    if (turn !== this.turn) return;
    const found = multiply(terms, query.members[0], key.members[0], key.position - query.position);
    const order = Array.from(found.products.keys());
    const largest = order.toSorted((one, two) => Math.abs(found.products[two]) - Math.abs(found.products[one]));
    const said = note();
    const tell = (dimension) => (said.textContent = dimension ?? `Largest: ${largest.slice(0, 3).map((at) => format(found.products[at]) + " in " + at).join(", ")}`);
    tell();
    this.root.replaceChildren(
      element("h3", {}, bold(query.text), " · ", bold(key.text), ` in ${terms.depth} dimensions`),
      drawCells(found, state.sorted ? largest : order, state.log, tell),
      said,
      element("button", { "aria-pressed": state.sorted, onclick: () => state.set({ sorted: !state.sorted }) }, "largest first"),
      listSteps(found, terms),
    );
  }
}

/** Return queries, keys and products as rows of cells, a column a dimension, with one legend: each row has its own
    largest number. `tell` is told of the dimension under the pointer. */
function drawCells({ q, k, products }, order, log, tell) {
  const makeScale = (peak) => new Scale({ peak, signed: true, log, dark: isDark() });
  const rows = [["q", q], ["k", k], ["q·k", products]].map(([name, values]) => ({ name, values, scale: makeScale(Math.max(...values.map(Math.abs), 1e-9)) }));
  const names = () => element("div", { "aria-hidden": "true" }, ...rows.map(({ name, scale }) => element("span", {}, name, element("b", {}, `±${format(scale.peak)}`))));
  const column = (at) => {
    const cells = rows.map(({ values, scale }) => {
      const cell = element("i");
      cell.style.backgroundColor = scale.css(values[at]);
      return cell;
    });
    return element("div", { role: "listitem", title: `dimension ${at}: ${format(q[at])} × ${format(k[at])} = ${format(products[at])}` }, ...cells);
  };
  const strips = [];
  for (let at = 0; at < order.length; at += ACROSS) strips.push(element("div", { class: "strip", role: "presentation" }, names(), ...order.slice(at, at + ACROSS).map(column)));
  const root = element("div", { class: "dimensions", role: "list", "aria-label": "q, k and q·k in each dimension", onpointerover: (event) => tell(event.target.closest("[title]")?.title), onpointerleave: () => tell() }, ...strips);
  root.style.setProperty("--across", Math.min(order.length, ACROSS));
  return element("div", {}, root, element("p", { class: "shades" }, "±: largest of the row ", makeLegend(rows[0].scale, ["−", "+"])));
}

/** Return the steps from the sum of the products to the weight. */
function listSteps({ sum, bias, score, off, logSum }, { depth, scale }) {
  const root = Math.abs(scale * Math.sqrt(depth) - 1) < 1e-4;
  const weight = Math.exp(score - logSum);
  const steps = [["Σ q·k", format(sum)], [root ? `× 1/√${depth}` : `× ${scale.toPrecision(3)}`, format(sum * scale)]];
  if (bias !== null) steps.push(["+ position", format(bias)]);
  steps.push([`score ± ${format(off)}`, format(score)]);
  if (Number.isFinite(logSum)) steps.push([`weight by softmax: e^(score − ${format(logSum)})`, format(weight)]);
  return element("dl", {}, ...steps.map(([name, value]) => element("div", {}, element("dt", {}, name), element("dd", {}, value))));
}

/** The products of the active token with every other, a row each. */
class ProductsView {
  constructor(state) {
    this.state = state;
    this.ofToken = true;
    this.root = element("div", { class: "scroll" });
  }

  async draw(scene, scale, width) {
    const { state } = this;
    this.grid = null;
    this.scene = scene;
    const obstacle = findObstacle(scene);
    if (obstacle !== null) return this.root.replaceChildren(element("p", { class: "caption" }, obstacle));
    const { side, group } = scene.active;
    const own = scene.groups(side)[group].members[0];
    const others = scene.groups(facing(side));
    const terms = await scene.record.terms.head(state.layer, state.head);
    if (this.scene !== scene) return;
    const lines = others.map(({ members: [other] }) => {
      const [q, k] = side === "query" ? [terms.query(own), terms.key(other)] : [terms.query(other), terms.key(own)];
      return q.map((value, at) => value * k[at]);
    });
    const peak = lines.reduce((most, line) => line.reduce((largest, value) => Math.max(largest, Math.abs(value)), most), 1e-9);
    const meant = (row) => ({ side, group, other: row });
    const what = side === "query" ? "keys" : "queries";
    this.grid = new Grid({
      rows: others.map(({ text }) => text), columns: Array.from({ length: terms.depth }, (_, at) => String(at)),
      scale: new Scale({ peak, signed: true, log: scale.log, dark: isDark() }), width, least: LABEL + 1, name: `${scene.name}: products of each dimension, ${what} down`, named: { down: what, across: "dims" },
      value: (row, column) => lines[row][column],
      enter: (row) => state.set({ hover: meant(row) }),
      leave: () => state.hover && state.set({ hover: null }),
      pick: (row) => lock(state, this.scene, meant(row)),
    });
    const token = bold(scene.groups(side)[group].text);
    this.root.replaceChildren(element("p", { class: "caption" }, token, ` · each of the ${what}, dimension by dimension, before scaling`), this.grid.root);
    this.mark(scene);
  }

  /** Return the scale of the products, which is not that of weights. */
  scaled() {
    return this.grid?.scale;
  }

  mark(scene) {
    if (!this.grid || scene !== this.scene) return;
    const { side } = scene.active;
    const { query, key } = scene.named;
    this.grid.mark(side === "query" ? scene.keys.groups.indexOf(key) : scene.queries.groups.indexOf(query), null, scene.sentence);
  }
}

VIEWS.products = { title: "q · k", make: (state) => new ProductsView(state) };
PANELS.push((state) => new PairProducts(state));
