// The tools: what a view is shown as, which heads, how, and what can be taken away. Most press a key of the keyboard.

class Tools {
  constructor(state, keys, find) {
    this.state = state;
    this.keys = keys;
    this.views = radios("View", Object.entries(VIEWS).map(([view, { title }]) => [view, title]), (view) => state.set({ view }));
    this.records = radios("Kind of attention", state.records.map(({ name }, record) => [record, name]), (record) => state.set(state.startOf(record)));
    this.switches = { words: this.button("Words", "w"), special: this.button("Special", "s"), turned: this.button("Transpose", "t"), log: this.button("Log", "g"), all: this.button("All links", "b"), mean: this.button("Average", "a") };
    this.find = element("input", { type: "search", placeholder: "find a word  /", "aria-label": "Find a word", autocomplete: "off", oninput: () => find(this.find.value) });
    this.least = element("input", { type: "range", min: 0, max: 1, step: 0.01, "aria-label": "Hide links below", oninput: () => state.set({ least: Number(this.least.value) }) });
    this.leastText = element("output");
    this.theme = select("Colours", THEMES, (theme) => state.set({ theme }));
    this.segments = select("Texts of the pair", SEGMENTS, (segments) => state.set({ segments }));
    const { mean, ...others } = this.switches;
    this.root = element("nav", { class: "tools", "aria-label": "Tools" },
      this.records, this.views, this.segments,
      element("div", { class: "choices" }, ...Object.values(others), this.button("Keep head", "c"), mean),
      element("label", { class: "least" }, "from ", this.least, " ", this.leastText),
      this.find,
      element("div", { class: "choices" }, this.button("Copy", "y"), this.button("Save SVG", "x"), this.theme, this.button("Help", "?")));
    this.records.hidden = state.records.length < 2;
  }

  /** Return a button that does what a key does. */
  button(name, key) {
    const [, what, action] = this.keys.find(([names]) => names === key);
    return element("button", { title: `${what} (${key})`, "aria-keyshortcuts": key, onclick: action }, name);
  }

  draw() {
    const { state, switches } = this;
    check(this.views, state.view);
    check(this.records, state.record);
    for (const [field, made] of Object.entries(switches)) made.setAttribute("aria-pressed", state[field]);
    switches.special.hidden = ![...state.current.queries.special, ...state.current.keys.special].includes(1);
    switches.mean.disabled = state.shown.length < 2;
    this.least.value = state.least;
    this.leastText.textContent = format(state.least * state.current.quantisation.peak);
    this.theme.value = state.theme;
    this.segments.value = state.segments;
    this.segments.hidden = !state.current.paired;
  }
}

/** Return buttons of which one is chosen; `choices` are values with their names. */
function radios(label, choices, choose) {
  const made = choices.map(([value, name]) => element("button", { role: "radio", "data-value": value, onclick: () => choose(value) }, name));
  return element("div", { class: "choices", role: "radiogroup", "aria-label": label }, ...made);
}

/** Return a list to choose from; `choices` are names by their values. */
function select(label, choices, choose) {
  const options = Object.entries(choices).map(([value, name]) => element("option", { value }, name));
  return element("select", { "aria-label": label, onchange: (event) => choose(event.target.value) }, ...options);
}

function check(group, value) {
  for (const one of group.children) one.setAttribute("aria-checked", one.dataset.value === String(value));
}
