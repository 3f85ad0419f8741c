// Groups: the tokens of a sequence as they are shown, each by itself or the pieces of a word together.

const HIDDEN = { special: -1, segment: -2 };

/** Return the shown groups of tokens in order, and for each token the place of its group, or why it is hidden. If only
    one of two texts is shown, `segment` is its letter. */
function groupTokens(tokens, { words, special, segment }) {
  const groups = [];
  const index = new Int32Array(tokens.text.length);
  tokens.text.forEach((text, token) => {
    if (!special && tokens.special[token]) return (index[token] = HIDDEN.special);
    if (segment && "ab"[tokens.segment[token]] !== segment) return (index[token] = HIDDEN.segment);
    const word = tokens.word[token];
    const last = groups.at(-1);
    if (words && word !== null && last?.word === word) {
      if (tokens.gap[token] !== null) last.text += text; // else it is of the character that stands there
      last.members.push(token);
      last.predicts = tokens.predicts?.[token] ?? null;
    } else {
      groups.push({
        text, word, members: [token], gap: tokens.gap[token], special: Boolean(tokens.special[token]),
        position: tokens.position[token], predicts: tokens.predicts?.[token] ?? null,
      });
    }
    index[token] = groups.length - 1;
  });
  return { groups, index };
}

/** Return numbers between groups: into a group the sum over its tokens, out of it their mean. Of weights without
    special tokens, each row is divided by what is left of it. */
function regroup(record, values, queries, keys) {
  const width = record.keys.text.length;
  const across = keys.groups.length;
  if (queries.groups.length === record.queries.text.length && across === width) return values;
  const grouped = new Float32Array(queries.groups.length * across);
  const dropped = across > 0 && keys.index.includes(HIDDEN.special) && record.distributions;
  queries.groups.forEach(({ members }, row) => {
    let left = 0;
    for (const query of members) {
      for (let key = 0; key < width; key++) {
        const value = values[query * width + key] / members.length;
        if (keys.index[key] >= 0) grouped[row * across + keys.index[key]] += value;
        if (keys.index[key] !== HIDDEN.special) left += value;
      }
    }
    if (!dropped) return;
    const line = grouped.subarray(row * across, (row + 1) * across);
    if (left > 0) line.forEach((value, key) => (line[key] = value / left));
  });
  return grouped;
}

/** Return the first token of the word, or of the token, that a text names: whole before its beginning before any part. */
function findToken(tokens, wanted) {
  const sought = wanted.trim().toLocaleLowerCase();
  if (!sought) return null;
  const words = groupTokens(tokens, { words: true, special: true }).groups;
  const single = groupTokens(tokens, { words: false, special: true }).groups;
  const fits = [(text) => text === sought, (text) => text.startsWith(sought), (text) => text.includes(sought)];
  for (const fit of fits) {
    const found = [...words, ...single].find((group) => fit(group.text.toLocaleLowerCase()));
    if (found) return found.members[0];
  }
  return null;
}
