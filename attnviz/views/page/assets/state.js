// The state: everything that decides what is shown. It is one object, and all but `hover` stands in the URL's hash.

const SEGMENTS = { all: "A and B", aa: "A → A", ab: "A → B", ba: "B → A", bb: "B → B" };

const THEMES = { auto: "system", light: "light", dark: "dark" };

/* By their names; each has a title, and is made for a state. The files of the views put them here. */
const VIEWS = {};

/* `layer`, `head` and those of `others`, the heads that are kept, are places in a record; `token` and `other` are places
   of tokens; `side` says whether `token` is a query or a key; `other` is set where one pair is meant. */
const FIRST = {
  record: 0, layer: 0, head: 0, others: [], side: "query", token: 0, other: null, locked: false,
  view: "links", words: false, special: true, turned: false, log: false, mean: false, sorted: false, all: false, linked: false, segments: "all", least: 0, theme: "auto",
};

const isSame = ([layer, head], [other, place]) => layer === other && head === place;

class State {
  constructor(records, opening) {
    this.records = records;
    this.listeners = [];
    this.hover = null;
    this.usual = { ...FIRST, ...opening };
    const asked = { record: opening.record, ...this.fromHash(location.hash) };
    Object.assign(this, this.usual, this.startOf(asked.record), asked.record === opening.record ? opening : {}, asked);
  }

  get current() {
    return this.records[this.record];
  }

  /** Return the heads that are shown: the chosen one, and those kept beside it; it may be one of these. */
  get shown() {
    const chosen = [this.layer, this.head];
    return [chosen, ...this.others.filter((other) => !isSame(other, chosen))];
  }

  /** Return whether the average of several heads stands for them. */
  get averaged() {
    return this.mean && this.shown.length > 1;
  }

  /** Return the changes that lead to a record: its most telling head, and the query of its link. */
  startOf(record) {
    const { layer, head, query } = this.records[record].start;
    return { record, layer, head, others: [], mean: false, side: "query", token: query, other: null, locked: false, hover: null };
  }

  showAlone(layer, head) {
    this.set({ layer, head, others: [], mean: false });
  }

  set(changes) {
    Object.assign(this, changes);
    this.settle();
    try {
      history.replaceState(null, "", this.toHash());
    } catch {
      // a sandboxed frame has no history of its own
    }
    for (const listener of this.listeners) listener();
  }

  /** Keep everything within the record. */
  settle() {
    const [layers, heads] = this.current.shape;
    this.layer = clamp(this.layer, 0, layers - 1);
    this.head = clamp(this.head, 0, heads - 1);
    this.token = clamp(this.token, 0, this.current.tokens(this.side).text.length - 1);
    this.others = this.others.filter(([layer, head]) => layer < layers && head < heads);
    if (!this.others.length) this.mean = false;
  }

  /** Return the state as it stands in a URL: layers and heads by their own numbers, what is as usual left out. */
  toHash() {
    const { layers, heads } = this.current;
    const named = {
      layer: layers[this.layer], head: heads[this.head], token: this.token,
      others: this.others.map(([layer, head]) => `${layers[layer]}.${heads[head]}`).join(),
    };
    const written = new URLSearchParams(named);
    for (const name of Object.keys(FIRST)) if (!(name in named) && this[name] !== this.usual[name]) written.set(name, this[name]);
    if (!named.others) written.delete("others");
    return `#${written}`;
  }

  /** Return the changes that a hash stands for; what it says wrongly is left out. */
  fromHash(hash) {
    const given = Object.fromEntries(new URLSearchParams(hash.slice(1)));
    if (!Object.keys(given).length) return {};
    const record = this.records[given.record] ? Number(given.record) : this.usual.record;
    const { layers, heads } = this.records[record];
    const pairs = (text) => text.split(",").map((pair) => pair.split(".").map(Number)).map(([layer, head]) => [layers.indexOf(layer), heads.indexOf(head)]);
    const among = (names) => (text) => (names.includes(text) ? text : undefined);
    const place = (indices) => (text) => (indices.includes(Number(text)) ? indices.indexOf(Number(text)) : undefined);
    const count = (text) => (Number(text) >= 0 ? Math.floor(Number(text)) : undefined);
    const parse = {
      layer: place(layers), head: place(heads), others: (text) => pairs(text).filter((pair) => !pair.includes(-1)), token: count, other: count,
      least: (text) => (Number(text) >= 0 ? Math.min(Number(text), 1) : undefined), side: among(["query", "key"]), view: among(Object.keys(VIEWS)), theme: among(Object.keys(THEMES)), segments: among(Object.keys(SEGMENTS)),
    };
    const changes = { record };
    for (const [name, text] of Object.entries(given)) {
      const value = typeof FIRST[name] === "boolean" ? text === "true" : parse[name]?.(text);
      if (value !== undefined) changes[name] = value;
    }
    return changes;
  }
}
