// Terms of scores: the queries and keys of each layer, and what is added to their products, unpacked when asked for.

class ScoreTerms {
  constructor(place, shape, { first, distances, layers }) {
    Object.assign(this, { place, shape, first, distances, layers });
    this.unpacked = [];
  }

  /** Return the codes of queries and of keys of a layer, and what is added, unpacked once. */
  layer(place) {
    const bits = [this.layers[place].queries.bits, this.layers[place].keys.bits, 32];
    return (this.unpacked[place] ??= Promise.all(["queries", "keys", "added"].map((name, at) => unpack(`chunk-${this.place}-${place}-${name}`, bits[at]))));
  }

  /** Return what a head's scores are made of; queries and keys are named by their places, `distance` by positions. */
  async head(layer, head) {
    const { depth, scale, queries, keys } = this.layers[layer];
    const [, heads, rows, columns] = this.shape;
    const [queryCodes, keyCodes, added] = await this.layer(layer);
    const vector = (codes, { zero, step }, count) => (token) => Float32Array.from(codes.subarray((head * count + token) * depth, (head * count + token + 1) * depth), (code) => (code - zero) * step);
    return {
      depth, scale,
      steps: [queries.step, keys.step],
      query: vector(queryCodes, queries, rows),
      key: vector(keyCodes, keys, columns),
      logSum: (query) => added[head * rows + query],
      bias: (distance) => (this.distances ? added[heads * rows + head * this.distances + distance - this.first] : null),
    };
  }
}

/** Return the products of a query and a key in each dimension, their sum, and what becomes of it. */
function multiply(terms, query, key, distance) {
  const [q, k] = [terms.query(query), terms.key(key)];
  const products = q.map((value, at) => value * k[at]);
  const sum = products.reduce((one, other) => one + other, 0);
  const bias = terms.bias(distance);
  const score = sum * terms.scale + (bias ?? 0);
  const [ofQuery, ofKey] = terms.steps;
  const off = q.reduce((total, value, at) => total + (Math.abs(value) * ofKey + Math.abs(k[at]) * ofQuery) / 2, 0);
  return { q, k, products, sum, bias, score, off: off * terms.scale, logSum: terms.logSum(query) };
}
