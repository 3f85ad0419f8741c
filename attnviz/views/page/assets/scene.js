// The scene: what a state shows, as numbers. Views draw it and never look at records themselves.

/** Return the scene of a state, as soon as its numbers are unpacked. */
async function makeScene(state) {
  const record = state.current;
  const shown = { words: state.words, special: state.special };
  const [from, to] = state.segments === "all" || !record.paired ? [] : state.segments;
  const queries = groupTokens(record.queries, { ...shown, segment: from });
  const keys = record.self && from === to ? queries : groupTokens(record.keys, { ...shown, segment: to });
  const heads = await Promise.all(
    state.shown.map(async ([layer, head]) => ({
      layer, head, name: headName(record, layer, head),
      values: regroup(record, await record.head(layer, head), queries, keys),
    })),
  );
  const scene = new Scene(state, queries, keys, state.averaged ? [averageHeads(heads)] : heads);
  scene.picked = heads;
  return scene;
}

function averageHeads(heads) {
  const values = new Float32Array(heads[0].values.length);
  for (const head of heads) head.values.forEach((value, at) => (values[at] += value / heads.length));
  return { ...heads[0], name: `mean of ${heads.map((head) => head.name).join(", ")}`, values };
}

class Scene {
  constructor(state, queries, keys, heads) {
    this.state = state;
    this.record = state.current;
    this.queries = queries;
    this.keys = keys;
    this.heads = heads;
    this.peak = this.record.quantisation.peak;
  }

  /** Return the name of what is shown: `layer 3 head 1`. */
  get name() {
    const { state, record } = this;
    return state.averaged ? this.heads[0].name : `layer ${indexName(record.layers[state.layer])} head ${indexName(record.heads[state.head])}`;
  }

  /** Return whether the queries are the keys. */
  get self() {
    return this.queries === this.keys;
  }

  groups(side) {
    return (side === "query" ? this.queries : this.keys).groups;
  }

  /** Return the selected group: that under the pointer, unless one is locked. `other` is set where a pair is meant. */
  get active() {
    const { state } = this;
    if (state.hover && !state.locked) return state.hover;
    const here = state.side === "query" ? this.queries : this.keys;
    const there = state.side === "query" ? this.keys : this.queries;
    const group = here.index[state.token] ?? -1;
    const other = state.other === null ? -1 : (there.index[state.other] ?? -1);
    return { side: state.side, group: Math.max(group, 0), other: other < 0 ? null : other };
  }

  /** Return the number of a head for a query and a key. */
  value(head, query, key) {
    return head.values[query * this.keys.groups.length + key];
  }

  /** Return the numbers of a head between one group and all of the other side. */
  line(head, side, group) {
    const across = this.keys.groups.length;
    if (side === "query") return head.values.subarray(group * across, (group + 1) * across);
    return Float32Array.from(this.queries.groups, (_, query) => head.values[query * across + group]);
  }

  /** Return the other side's places, strongest first, of those at least as strong as the threshold. */
  strongest(head, side, group, count) {
    const line = this.line(head, side, group);
    const order = Array.from(line.keys()).filter((place) => line[place] !== 0 && Math.abs(line[place]) >= this.state.least * this.peak);
    return order.sort((one, two) => Math.abs(line[two]) - Math.abs(line[one])).slice(0, count).map((place) => ({ place, value: line[place] }));
  }

  /** Return the query, key and number that the status line names: of the active token the strongest, or the pair. */
  get named() {
    const { side, group, other } = this.active;
    const line = this.line(this.heads[0], side, group);
    const place = other ?? line.reduce((best, value, at) => (Math.abs(value) > Math.abs(line[best]) ? at : best), 0);
    const [query, key] = side === "query" ? [group, place] : [place, group];
    return { query: this.queries.groups[query], key: this.keys.groups[key], value: line[place] };
  }

  /** Return the state in words: `layer 3 head 1: it → animal 0.64`. */
  get sentence() {
    const { query, key, value } = this.named;
    const name = this.name + this.record.measured;
    const says = query?.predicts ? ` (→ ${isolate(query.predicts)})` : "";
    return query && key ? `${name}: ${isolate(query.text)}${says} → ${isolate(key.text)} ${format(value, this.record.signed)}` : `${name}: nothing`;
  }
}
