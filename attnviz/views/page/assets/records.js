// Records: the tokens of a kind of attention, and the numbers of its heads, unpacked when they are asked for.

const read = new Promise((done) => document.addEventListener("DOMContentLoaded", done));

/** Return the codes in a chunk of the page: base64, deflated, little-endian; of 32 bits they are numbers. Chunks that
    are not shown first stand below the script: one is there as soon as something follows it. */
async function unpack(id, bits) {
  if (!document.getElementById(id)?.nextSibling) await read;
  const text = atob(document.getElementById(id).textContent);
  const packed = new Uint8Array(text.length);
  for (let at = 0; at < text.length; at++) packed[at] = text.charCodeAt(at);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const bytes = await new Response(stream).arrayBuffer();
  return new { 8: Uint8Array, 16: Uint16Array, 32: Float32Array }[bits](bytes);
}

class HeadRecord {
  constructor(place, description) {
    Object.assign(this, description);
    this.place = place;
    this.keys ??= this.queries;
    this.self = this.keys === this.queries;
    this.paired = this.self && Boolean(this.queries.segment);
    this.signed = this.quantisation.zero > 0;
    this.terms &&= new ScoreTerms(place, this.shape, this.terms);
    this.unpacked = [];
  }

  get shape() {
    return [this.layers.length, this.heads.length, this.queries.text.length, this.keys.text.length];
  }

  tokens(side) {
    return side === "query" ? this.queries : this.keys;
  }

  /** Return the codes of a layer, unpacked once. */
  layer(place) {
    return (this.unpacked[place] ??= unpack(`chunk-${this.place}-${place}`, this.quantisation.bits));
  }

  /** Return the numbers [queries · keys] of a head. */
  async head(layer, head) {
    const codes = await this.layer(layer);
    const [, , queries, keys] = this.shape;
    const { zero, step } = this.quantisation;
    const values = new Float32Array(queries * keys);
    let at = head * (this.triangle ? (queries * (queries + 1)) / 2 : queries * keys);
    for (let query = 0; query < queries; query++) {
      const end = query * keys + (this.triangle ? query + 1 : keys);
      for (let to = query * keys; to < end; to++) values[to] = (codes[at++] - zero) * step;
    }
    return values;
  }

  /** Return the numbers in the small pictures of all heads, by their places. */
  async thumbnails() {
    const codes = await unpack(`chunk-${this.place}-thumbnails`, 8);
    const zero = this.signed ? 127 : 0;
    const step = this.quantisation.peak / (zero || 255);
    return (at) => (codes[at] - zero) * step;
  }

  /** Return the label of a head, if it has one. */
  label(layer, head) {
    const found = this.labels.find(([own, other]) => own === this.layers[layer] && other === this.heads[head]);
    return found ? found[2] : null;
  }
}
