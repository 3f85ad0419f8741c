// Two views as grids: one head as a matrix, and one token in all heads.

/** The matrix of the current head: queries down and keys across, or turned. */
class MatrixView {
  constructor(state) {
    this.state = state;
    this.root = element("div", { class: "scroll" });
  }

  draw(scene, scale, width) {
    const { state } = this;
    const names = (side) => scene.groups(side).map((group) => group.text);
    const [down, across] = state.turned ? ["key", "query"] : ["query", "key"];
    const plural = { query: "queries", key: "keys" };
    const pair = (row, column) => (state.turned ? [column, row] : [row, column]);
    const meant = (row, column) => (column === null ? { side: down, group: row, other: null } : { side: "query", group: pair(row, column)[0], other: pair(row, column)[1] });
    this.grid = new Grid({
      rows: names(down), columns: names(across), scale, width, name: `${scene.name}: ${plural[down]} down`,
      named: { down: plural[down], across: plural[across] },
      value: (row, column) => scene.value(scene.heads[0], ...pair(row, column)),
      enter: (row, column) => state.set({ hover: meant(row, column) }),
      leave: () => state.hover && state.set({ hover: null }),
      pick: (row, column) => lock(state, this.scene, meant(row, column)),
    });
    this.root.replaceChildren(this.grid.root);
    this.mark(scene);
  }

  mark(scene) {
    this.scene = scene;
    const { side, group } = scene.active;
    const { query, key } = scene.named;
    if (!query || !key) return;
    const [row, column] = [scene.queries.groups.indexOf(query), scene.keys.groups.indexOf(key)];
    const down = this.state.turned ? "key" : "query";
    const place = side === down ? group : down === "query" ? row : column;
    this.grid.mark(place, down === "query" ? column : row, scene.sentence);
  }
}

/** One token in all heads: a row for each head, with what the token looks at, or what looks at it. */
class HeadsView {
  constructor(state) {
    this.state = state;
    this.ofToken = true;
    this.root = element("div", { class: "scroll" });
  }

  async draw(scene, scale, width) {
    const { state, root } = this;
    const { side, group } = scene.active;
    const { record } = scene;
    Object.assign(this, { side, scene });
    const other = facing(side);
    const [layers, heads] = record.shape;
    const places = Array.from({ length: layers * heads }, (_, at) => [Math.floor(at / heads), at % heads]);
    const lines = [];
    for (const [layer, head] of places) {
      const values = regroup(record, await record.head(layer, head), scene.queries, scene.keys);
      lines.push(scene.line({ values }, side, group));
      if (this.scene !== scene) return;
    }
    const token = `“${clip(scene.groups(side)[group].text)}”`;
    const name = `${token} ${record.verbs[side]}`;
    const numbers = places.map((place) => headName(record, ...place));
    this.grid = new Grid({
      rows: numbers,
      columns: scene.groups(other).map(({ text }) => text), scale, width, least: LABEL + 1, name: `In all heads, ${name}`, named: { down: "heads", across: other === "key" ? "keys" : "queries" },
      value: (row, column) => lines[row][column],
      enter: () => {},
      leave: () => {},
      pick: (row) => state.set({ layer: places[row][0], head: places[row][1] }),
    });
    root.replaceChildren(element("p", { class: "caption" }, `In all heads, ${name}:`), this.grid.root);
    this.mark(scene);
  }

  mark(scene) {
    if (!this.grid || scene !== this.scene) return;
    const { query, key } = scene.named;
    const place = this.side === "query" ? scene.keys.groups.indexOf(key) : scene.queries.groups.indexOf(query);
    this.grid.mark(this.state.layer * scene.record.heads.length + this.state.head, place, scene.sentence);
  }
}

VIEWS.matrix = { title: "Matrix", make: (state) => new MatrixView(state) };
VIEWS.heads = { title: "All heads", make: (state) => new HeadsView(state) };

/** Lock what is meant, or let it go if it is locked already. */
function lock(state, scene, { side, group, other = null }) {
  const here = scene.groups(side)[group];
  const there = other === null ? null : scene.groups(facing(side))[other].members[0];
  const same = state.locked && state.side === side && here.members.includes(state.token) && state.other === there;
  state.set({ side, token: here.members[0], other: there, locked: !same, hover: null });
}
