// Tokens as text: in two columns or as prose, shaded by the numbers of the heads that are shown.

const MOST_LINKS = 50;

/** A view of tokens with links; `arrange(scene)` returns the parts that hold them. */
class TextView {
  constructor(state, kind) {
    this.state = state;
    this.kind = kind;
    this.links = shape("svg", { class: "links", "aria-hidden": "true" });
    this.body = element("div", { class: kind, role: "listbox", "aria-label": "Tokens" });
    this.caption = element("p", { class: "caption" });
    this.root = element("div", {
      class: "tokens",
      onpointerover: (event) => this.enter(event),
      onpointerleave: () => state.hover && state.set({ hover: null }),
      onclick: (event) => this.pick(event),
    }, this.body, this.links, this.caption);
  }

  draw(scene, scale) {
    this.scale = scale;
    this.elements = { query: [], key: [] };
    const single = this.kind === "prose" && scene.self;
    const sides = single ? ["query"] : ["query", "key"];
    const title = (side) => !single && element("h3", {}, side === "query" ? "queries" : "keys");
    this.body.replaceChildren(...sides.map((side) => element("div", { class: `side ${side}` }, title(side) || null, this.write(scene, side))));
    if (single) this.elements.key = this.elements.query;
    this.mark(scene);
  }

  write(scene, side) {
    const made = scene.groups(side).map((group, place) => {
      const text = element("bdi", {}, clip(group.text));
      const token = element("span", { class: group.special ? "token special" : "token", role: "option", "data-side": side, "data-group": place }, text);
      if (this.kind === "links") token.append(element("span", { class: "bars" }));
      this.elements[side].push(token);
      return this.kind === "prose" ? [gapBefore(group, place), token] : [token];
    });
    return element("div", { class: "run" }, ...made.flat());
  }

  found(event) {
    const token = event.target.closest?.("[data-group]");
    return token && { side: token.dataset.side, group: Number(token.dataset.group), other: null };
  }

  enter(event) {
    const found = this.found(event);
    const { hover } = this.state;
    if (found && (hover?.side !== found.side || hover?.group !== found.group)) this.state.set({ hover: found });
  }

  pick(event) {
    const found = this.found(event);
    const { side, group } = this.scene.active;
    if (found && event.shiftKey && found.side !== side) lock(this.state, this.scene, { side, group, other: found.group });
    else if (found) lock(this.state, this.scene, found);
  }

  mark(scene) {
    this.scene = scene;
    const { side, group, other } = scene.active;
    const there = facing(side);
    for (const token of new Set([...this.elements.query, ...this.elements.key])) reset(token);
    this.shade(scene, side, there, group);
    if (scene.self) this.underline(scene, side, there, group);
    this.explain(scene, side, there, group);
    const active = this.elements[side][group];
    if (active) furnish(active, { "aria-selected": "true", tabindex: 0 }).classList.add("active");
    active?.classList.toggle("locked", this.state.locked);
    this.elements[there][other]?.classList.add("paired");
    const all = this.state.all && !this.state.locked && !this.state.hover;
    drawLinks(this, scene, side, all ? Array.from(scene.groups(side).keys()) : [group]);
  }

  /** Fill the tokens of the other side: with one head by its scale, with several by a bar in the colour of each. */
  shade(scene, side, there, group) {
    const lines = scene.heads.map((head) => scene.line(head, side, group));
    this.elements[there].forEach((token, place) => {
      const values = lines.map((line) => line[place]);
      const strong = values.some((value) => Math.abs(value) >= Math.max(scene.state.least * scene.peak, 1e-9));
      if (!strong) return;
      if (values.length === 1) {
        if (this.scale.strength(values[0]) < 0.01) return;
        token.style.backgroundColor = this.scale.css(values[0]);
        token.style.color = this.scale.ink(values[0]);
      } else if (this.kind === "links") {
        token.querySelector(".bars").replaceChildren(...values.map((value, head) => colouredBar(this.scale.tint(head, value))));
      } else {
        const best = values.reduce((most, value, head) => (Math.abs(value) > Math.abs(values[most]) ? head : most), 0);
        token.style.backgroundColor = this.scale.tint(best, values[best], 37);
        token.style.color = "var(--ink)";
      }
    });
  }

  /** Underline, in a text that looks at itself, the other direction. */
  underline(scene, side, there, group) {
    const line = scene.line(scene.heads[0], there, group);
    this.elements[side].forEach((token, place) => {
      const strength = this.scale.strength(line[place]);
      if (strength >= 0.02 && Math.abs(line[place]) >= scene.state.least * scene.peak) token.style.borderBottomColor = `color-mix(in srgb, var(--other) ${Math.round(20 + 80 * strength)}%, transparent)`;
    });
  }

  /** Write how both directions are shown, each way in a word that shows it. */
  explain(scene, side, there, group) {
    const say = (direction, name) => [` ${scene.record.verbs[direction]} `, element("span", { class: name }, name)];
    const filled = scene.heads.length > 1 && this.kind === "links" ? "coloured" : "filled";
    this.caption.replaceChildren(bold(scene.groups(side)[group]?.text ?? ""), ...say(side, filled), ...(scene.self ? [",", ...say(there, "underlined")] : []));
  }
}

VIEWS.links = { title: "Links", make: (state) => new TextView(state, "links") };
VIEWS.prose = { title: "Text", make: (state) => new TextView(state, "prose") };

function gapBefore({ gap }, place) {
  return gap === "\n" ? element("br") : place ? gap : "";
}

function colouredBar(colour) {
  const bar = element("b");
  bar.style.backgroundColor = colour;
  return bar;
}

function reset(token) {
  token.classList.remove("active", "locked", "paired");
  token.removeAttribute("aria-selected");
  token.removeAttribute("tabindex");
  token.removeAttribute("style");
  token.querySelector(".bars")?.replaceChildren();
}
