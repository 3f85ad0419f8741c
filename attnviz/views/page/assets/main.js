// The page: its parts put together, and drawn again whenever the state changes.

const data = JSON.parse(document.getElementById("data").textContent);
const state = new State(data.records.map((description, place) => new HeadRecord(place, description)), data.opening);
const dark = matchMedia("(prefers-color-scheme: dark)");
let scene = null;

function toggleHead(layer, head) {
  const [chosen, ...others] = state.shown;
  const left = state.others.filter((other) => !isSame(other, [layer, head]));
  if (isSame(chosen, [layer, head])) {
    const [next] = others;
    if (next) state.set({ layer: next[0], head: next[1], others });
  } else if (left.length < state.others.length) state.set({ others: left });
  else state.set({ others: [...others, chosen], layer, head });
}

function say(text) {
  said.textContent = text;
}

const actions = {
  wholeLayer() {
    if (state.shown.length > 1) state.showAlone(state.layer, state.head);
    else state.set({ others: state.current.heads.map((_, head) => [state.layer, head]) });
  },
  average: () => state.set({ mean: !state.mean && state.shown.length > 1 }),
  keep() {
    const [layers, heads] = state.current.shape;
    const next = state.head + 1 < heads ? [state.layer, state.head + 1] : [(state.layer + 1) % layers, 0];
    if (layers * heads > 1) toggleHead(...next);
  },
  find(text) {
    const found = ["query", "key"].map((side) => ({ side, token: findToken(state.current.tokens(side), text) })).find(({ token }) => token !== null);
    const missing = found || !text.trim() ? "" : `“${clip(text)}” is not in this text.`;
    tools.find.setCustomValidity(missing);
    say(missing);
    if (found) state.set({ ...found, other: null, hover: null, locked: false });
  },
  search() {
    tools.find.focus();
    tools.find.select();
  },
  lock() {
    if (!scene) return;
    const { side, group, other } = scene.active;
    if (!state.locked && scene.groups(side)[group]) lock(state, scene, { side, group, other });
  },
  /** Close the help, or let the token go, or if none is locked the heads that are shown besides. */
  release() {
    if (help.open) help.close();
    else if (state.locked || state.other !== null) state.set({ locked: false, other: null, hover: null });
    else state.showAlone(state.layer, state.head);
  },
  /** Choose the token so many places further. */
  step(by) {
    const { side, group } = scene.active;
    const groups = scene.groups(side);
    state.set({ side, token: groups[clamp(group + by, 0, groups.length - 1)].members[0], other: null, hover: null });
  },
  /** Pair the chosen token with one so many places beside the one that it is paired with. */
  pair(by) {
    const { side, group } = scene.active;
    const { query, key } = scene.named;
    const others = scene.groups(facing(side));
    const now = others.indexOf(side === "query" ? key : query);
    state.set({ side, token: scene.groups(side)[group].members[0], other: others[clamp(now + by, 0, others.length - 1)].members[0], hover: null });
  },
  copy: () => copyText(line).then(() => say("Copied."), () => say("Selected: press Ctrl+C.")),
  save() {
    saveSvg(viewToSvg(views[state.view].root, line.textContent));
  },
  help: () => (help.open ? help.close() : help.showModal()),
};

const keys = listKeys(state, actions);
const help = makeHelp(keys);
const tools = new Tools(state, keys, actions.find);
const overview = new Overview(state, toggleHead);
const details = new Details(state, toggleHead);
const views = Object.fromEntries(Object.entries(VIEWS).map(([name, { make }]) => [name, make(state)]));
const line = element("p", { id: "line", role: "status", "aria-live": "polite" });
const step = element("span", { class: "step" });
const shades = element("span", { class: "shades" });
const said = element("span", { class: "said", role: "alert" });
const meta = element("p", { class: "meta" });
const view = element("section", { class: "view", "aria-label": "The head" });
const lines = element("div", { class: "lines" }, line, step, said, shades);
const notes = element("footer", { class: "notes" });

/** Return what decides how a view is laid out; all else is marked on it. */
function layoutOf(current) {
  const { record, layer, head, others, mean, words, special, turned, log, view: name, side, token } = current;
  const parts = [record, state.segments, layer, head, others, mean, words, special, turned, log, name, isDark(), view.clientWidth];
  return JSON.stringify(views[name].ofToken ? [...parts, side, token] : parts);
}

/* Its `ready` says that all is drawn that was asked for. */
const { dataset } = document.documentElement;

const isDark = () => !printing && (state.theme === "auto" ? dark.matches : state.theme === "dark");

/** Set the colours of the page, and return those of its numbers. */
function makeScale() {
  dataset.theme = isDark() ? "dark" : "light";
  const { quantisation, signed } = state.current;
  return new Scale({ peak: quantisation.peak, signed, log: state.log, dark: isDark() });
}

/** Draw the view on paper, or on the screen again, at once: printing waits for nothing that is not there yet. */
async function print(onPaper) {
  printing = onPaper;
  const scale = makeScale();
  details.draw(scene, scale);
  await views[state.view].draw(scene, scale, view.clientWidth);
  drawLegend(scale);
}

function drawLegend(scale) {
  shades.replaceChildren(makeLegend(views[state.view].scaled?.() ?? scale));
}

let drawn = {};
let pending = false;
let printing = false;
let round = 0;

/** Scroll to the chosen token if it is out of sight, which behind the lines on top it is too. */
function reveal() {
  const chosen = view.querySelector(".token.active, [role=gridcell]");
  const { top, bottom } = chosen?.getBoundingClientRect() ?? {};
  chosen?.scrollIntoView({ block: top < lines.getBoundingClientRect().bottom || bottom > innerHeight ? "center" : "nearest", inline: "nearest" });
}

/** Draw what has changed, in the next frame. */
function refresh() {
  if (pending) return;
  pending = true;
  delete dataset.ready;
  requestAnimationFrame(() => {
    pending = false;
    render();
  });
}

async function render() {
  const turn = ++round;
  const layout = layoutOf(state);
  if (layout !== drawn.layout || !scene) {
    const made = await makeScene(state);
    if (turn !== round) return;
    scene = made;
  }
  const { current } = state;
  const scale = makeScale();
  const small = JSON.stringify([state.record, state.turned, state.log, state.linked, isDark()]);
  if (small !== drawn.overview) overview.draw(scale);
  overview.mark(scale);
  tools.draw();
  meta.textContent = current.summary;
  notes.replaceChildren(...[...data.notes, ...current.notes].map((note) => element("p", {}, note)));
  if (line.textContent !== scene.sentence) line.textContent = scene.sentence;
  step.textContent = `± ${current.error}${state.locked ? " · locked" : ""}`;
  const shown = views[state.view];
  if (layout !== drawn.layout) {
    view.replaceChildren(shown.root);
    await shown.draw(scene, scale, view.clientWidth);
  } else shown.mark(scene);
  drawLegend(scale);
  details.draw(scene, scale);
  const chosen = JSON.stringify([state.record, state.view, state.side, state.token, shown.ofToken && [state.layer, state.head, state.other]]);
  if (chosen !== drawn.chosen && !state.hover && (drawn.chosen || state.locked)) reveal();
  drawn = { layout, overview: small, chosen };
  if (!pending && turn === round) dataset.ready = "";
}

document.getElementById("page").append(
  element("header", {}, element("h1", {}, element("bdi", {}, clip(data.text, 160))), meta),
  tools.root,
  lines,
  element("main", {}, overview.root, view, details.root),
  notes, help,
);
state.listeners.push(refresh);
dark.addEventListener("change", refresh);
addEventListener("resize", refresh);
addEventListener("beforeprint", () => print(true));
addEventListener("afterprint", () => print(false));
addEventListener("hashchange", () => state.set(state.fromHash(location.hash)));
listenToKeys(keys);
state.set({});
render();
