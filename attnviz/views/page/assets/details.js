// The details beside a view: the links of the active token in both directions, what it predicts, the head's statistics.

const LISTED = 6;
const LEAST = 0.0005; // what is less is not listed, but counts among the rest

/* What makes more of them for a state: parts with a root, which are drawn for a scene. */
const PANELS = [];

class Details {
  constructor(state, toggle) {
    this.state = state;
    this.toggle = toggle;
    this.panels = PANELS.map((make) => make(state));
    this.root = element("aside", { class: "details", "aria-label": "Details of the head" });
  }

  draw(scene, scale) {
    const { state } = this;
    const { side, group } = scene.active;
    const here = scene.groups(side)[group];
    const label = state.averaged ? null : scene.record.label(state.layer, state.head);
    const parts = [element("h2", {}, scene.name, label && element("span", { class: "label" }, label))];
    if (state.shown.length > 1) parts.push(this.legend(scene, scale));
    if (here) {
      parts.push(this.list(scene, scale, side, group));
      const twin = scene.self ? facing(side) : null;
      if (twin) parts.push(this.list(scene, scale, twin, group));
      if (side === "query" && here.predicts !== null) parts.push(element("p", { class: "predicts" }, bold(here.text), " is to predict ", bold(here.predicts)));
    }
    for (const panel of this.panels) panel.draw(scene);
    parts.push(...this.panels.map(({ root }) => root), scene.record.terms ? null : note(scene.record.untold));
    parts.push(this.statistics(scene), note(scene.record.exactness));
    this.root.replaceChildren(...parts.filter(Boolean));
  }

  legend(scene, scale) {
    const chips = scene.picked.map((head, place) => {
      const key = element("i", { class: "swatch" });
      key.style.backgroundColor = this.state.averaged ? "var(--faint)" : scale.head(place);
      return element("button", { class: "chip", title: "Take this head out; twice: show it alone", onclick: () => this.toggle(head.layer, head.head), ondblclick: () => this.state.showAlone(head.layer, head.head) }, key, head.name, " ×");
    });
    return element("div", { class: "legend", role: "group", "aria-label": "Heads that are shown" }, ...chips);
  }

  list(scene, scale, side, group) {
    const head = scene.heads[0];
    const line = scene.line(head, side, group);
    const shown = scene.strongest(head, side, group, LISTED).filter(({ value }) => Math.abs(value) >= LEAST);
    const others = scene.groups(facing(side));
    const pair = (place) => this.state.set({ side, token: scene.groups(side)[group].members[0], other: others[place].members[0], locked: true, hover: null });
    const rows = shown.map(({ place, value }) => element("li", {}, element("button", { title: "Lock this pair", onclick: () => pair(place) }, element("bdi", {}, clip(others[place].text, 24))), bar(value, scene, scale), element("span", { class: "value" }, format(value, scene.record.signed))));
    const rest = line.length - shown.length;
    if (rest > 0 && !scene.record.signed) {
      const left = line.reduce((sum, value) => sum + value, 0) - shown.reduce((sum, { value }) => sum + value, 0);
      rows.push(element("li", { class: "rest" }, `${rest} more`, bar(left, scene, scale), element("span", { class: "value" }, format(left < scene.record.quantisation.step / 2 ? 0 : left))));
    }
    return element("section", {}, element("h3", {}, bold(scene.groups(side)[group].text), ` ${scene.record.verbs[side]}`), element("ol", {}, ...rows));
  }

  statistics({ state, record }) {
    if (state.averaged) return note("A mean of heads has no queries, keys or numbers of its own.");
    const rows = record.statistics.flatMap(({ name, definition, values }) => {
      const value = values[state.layer][state.head];
      return value === null ? [] : [element("div", { title: definition }, element("dt", {}, name.replaceAll("_", " ")), element("dd", {}, format(value)))];
    });
    if (!rows.length) return record.unmeasured && note(record.unmeasured);
    return element("details", { open: !matchMedia("(max-width: 700px)").matches }, element("summary", {}, "Numbers of this head"), element("dl", {}, ...rows));
  }
}

function bold(text) {
  return element("b", {}, element("bdi", {}, clip(text, 30)));
}

function bar(value, scene, scale) {
  const made = element("i", { class: "bar" }, element("i"));
  made.firstChild.style.width = `${Math.min((100 * Math.abs(value)) / scene.peak, 100)}%`;
  made.firstChild.style.backgroundColor = scale.line(value);
  return made;
}
