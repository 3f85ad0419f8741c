// The keyboard: a table of keys, which the help lists too.

/** Return the keys, with what each does to a state; `actions` are those that are more than a change of it. */
function listKeys(state, actions) {
  const move = (axis, by) => () => state.set({ [axis]: state[axis] + by, hover: null });
  const turn = (field) => () => state.set({ [field]: !state[field] });
  const views = Object.keys(VIEWS);
  return [
    ["← h", "the head before", move("head", -1)],
    ["→ l", "the next head", move("head", 1)],
    ["↑ k", "the layer above", move("layer", -1)],
    ["↓ j", "the layer below", move("layer", 1)],
    ["⇧↑", "the token before", () => actions.step(-1)],
    ["⇧↓", "the next token", () => actions.step(1)],
    ["⇧←", "pair it with the one before", () => actions.pair(-1)],
    ["⇧→", "pair it with the next one", () => actions.pair(1)],
    ["/", "find a word", actions.search],
    ["Enter", "lock the token", actions.lock],
    ["Escape", "let it go", actions.release],
    ["v", "the next view", () => state.set({ view: views[(views.indexOf(state.view) + 1) % views.length] })],
    ["c", "keep this head, and take the next", actions.keep],
    ["A", "all heads of the layer, or this one alone", actions.wholeLayer],
    ["b", "links of all tokens, or of one", turn("all")],
    ["a", "average of the heads that are shown", actions.average],
    ["w", "words, or pieces of words", turn("words")],
    ["s", "special tokens", turn("special")],
    ["t", "transpose", turn("turned")],
    ["o", "small pictures as links, or as matrices", turn("linked")],
    ["g", "logarithmic", turn("log")],
    ["y", "copy the link as text", actions.copy],
    ["x", "save the view as SVG", actions.save],
    ["?", "this help", actions.help],
  ];
}

const ARROWS = { ArrowLeft: "←", ArrowRight: "→", ArrowUp: "↑", ArrowDown: "↓" };

/** Listen to the keyboard; what a control of the page needs itself is left to it. */
function listenToKeys(table) {
  const keys = new Map(table.flatMap(([names, , action]) => names.split(" ").map((name) => [name, action])));
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { target, key } = event;
    if (target.matches?.("input[type=search]")) {
      if (key !== "Escape" && (key !== "Enter" || !target.validity.valid)) return;
      target.blur();
    } else if (target.matches?.("input, select") && key !== "Escape") return;
    else if (key === "Enter" && target.matches?.("button, summary")) return;
    const action = keys.get(key in ARROWS ? (event.shiftKey ? "⇧" : "") + ARROWS[key] : key);
    if (!action) return;
    event.preventDefault();
    action();
  });
}

/** Return the dialog that lists the keys. */
function makeHelp(table) {
  const rows = table.map(([key, what]) => element("div", {}, element("dt", {}, key), element("dd", {}, what)));
  return element("dialog", { class: "help", "aria-label": "Keys", onclick: (event) => event.currentTarget.close() }, element("h2", {}, "Keys"), element("dl", {}, ...rows), note("Click a token to lock it; shift-click one of the other side to pair them. Shift-click heads to see several, double-click one to see it alone."));
}
