// Links: lines in SVG from the active token to those that it is linked with, and to no others.

/** Draw the links of some tokens in each head that is shown, the strongest of each. */
function drawLinks(view, scene, side, groups) {
  const bounds = view.root.getBoundingClientRect();
  const at = (token) => {
    const box = token.getBoundingClientRect();
    return { left: box.left - bounds.left, right: box.right - bounds.left, top: box.top - bounds.top, x: (box.left + box.right) / 2 - bounds.left, y: (box.top + box.bottom) / 2 - bounds.top };
  };
  const there = facing(side);
  const several = scene.heads.length > 1;
  const starts = groups.filter((group) => view.elements[side][group]).map((group) => [group, at(view.elements[side][group])]);
  const each = starts.flatMap(([group, from]) => scene.heads.map((head, place) => ({ group, from, head, place })));
  const paths = each.flatMap(({ group, from, head, place }) =>
    scene.strongest(head, side, group, several ? 12 : view.kind === "prose" ? 8 : MOST_LINKS).filter(({ value }) => view.scale.strength(value) >= 0.02).map(({ place: other, value }) => {
      const strength = view.scale.strength(value);
      const shift = several ? (place - (scene.heads.length - 1) / 2) * 3 : 0;
      const d = (view.kind === "links" ? across : over)(from, at(view.elements[there][other]), side, shift);
      return shape("path", { d, fill: "none", stroke: several ? view.scale.head(place) : view.scale.line(value), "stroke-width": (0.75 + 3.5 * strength).toFixed(2), "stroke-opacity": (0.15 + 0.75 * strength).toFixed(2), "stroke-linecap": "round" });
    }),
  );
  furnish(view.links, { width: bounds.width, height: bounds.height }).replaceChildren(...paths.reverse());
}

/** Return the way between two columns. */
function across(from, to, side, shift) {
  const [x1, x2] = side === "query" ? [from.right + 4, to.left - 4] : [from.left - 4, to.right + 4];
  const bend = (x2 - x1) * 0.42;
  return `M${x1} ${from.y + shift}C${x1 + bend} ${from.y + shift} ${x2 - bend} ${to.y + shift} ${x2} ${to.y + shift}`;
}

/** Return the way over a text, from above one token to above the other. */
function over(from, to, side, shift) {
  if (from.x === to.x && from.y === to.y) return `M${from.x - 5} ${from.top}c-8 -16 18 -16 10 0`;
  const rise = Math.min(12 + Math.abs(to.x - from.x) * 0.14 + Math.abs(to.y - from.y) * 0.1, 46) + shift;
  return `M${from.x} ${from.top}C${from.x} ${from.top - rise} ${to.x} ${to.top - rise} ${to.x} ${to.top}`;
}
