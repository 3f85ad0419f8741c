// Colours: of numbers, on paper or in the dark, and of heads that are shown together.

/* From paper to ink in equal steps of OKLab, told apart by the colour-blind and in grey; for signed numbers two such
   ramps, blue below and orange above 0. Heads have the colours of Okabe and Ito (2008). */
const RAMPS = {
  light: ["#f2f6f7", "#b7e4ff", "#82c9fa", "#5aaaec", "#4189d3", "#3569b3", "#2d4c8d", "#233266", "#161b40"],
  dark: ["#1b2129", "#1f3350", "#25497a", "#3064a5", "#4585cb", "#64a7e6", "#8fc8f8", "#bfe3fd", "#f2f9ff"],
};
const DIVERGING = {
  light: ["#12305c", "#2f66a8", "#7fb0dd", "#c4dcf0", "#f5f5f3", "#f6d7b3", "#e9a35d", "#b8620f", "#6b3300"],
  dark: ["#6cb8ff", "#4f9be3", "#3a7bbd", "#274f7a", "#1d2126", "#6e4216", "#a8651f", "#d98632", "#ff9f40"],
};
const HEADS = { light: ["#0072b2", "#d55e00", "#009e73", "#aa4499", "#b58900", "#56a0d9"], dark: ["#6cb8ff", "#ff9a4d", "#3fd0a4", "#e59ad0", "#e8c34a", "#a3d5ff"] };
const DECADES = 3; // of a logarithmic scale

const rgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));

/** Return the 256 colours [red, green, blue] between some stops. */
function blend(stops) {
  const known = stops.map(rgb);
  return Array.from({ length: 256 }, (_, at) => {
    const place = (at / 255) * (known.length - 1);
    const low = Math.min(Math.floor(place), known.length - 2);
    return known[low].map((value, part) => Math.round(value + (known[low + 1][part] - value) * (place - low)));
  });
}

/** Paint a cell for each number onto a canvas, with its upper left corner at a point. */
function paint(canvas, scale, [rows, columns], value, x = 0, y = 0) {
  const picture = new ImageData(columns, rows);
  const pixels = new Uint32Array(picture.data.buffer);
  for (let row = 0, at = 0; row < rows; row++) for (let column = 0; column < columns; column++) pixels[at++] = scale.pixels[scale.place(value(row, column))];
  canvas.getContext("2d").putImageData(picture, x, y);
}

/** The colour scale of a record: what colour a number has, and whether ink on it is light or dark. */
class Scale {
  constructor({ peak, signed, log, dark }) {
    const mode = dark ? "dark" : "light";
    this.table = blend((signed ? DIVERGING : RAMPS)[mode]);
    this.pixels = Uint32Array.from(this.table, ([red, green, blue]) => (255 << 24) | (blue << 16) | (green << 8) | red);
    this.heads = HEADS[mode];
    Object.assign(this, { peak, signed, log });
  }

  /** Return how strong a number is, 0 to 1. */
  strength(value) {
    const share = Math.min(Math.abs(value) / this.peak, 1);
    if (!this.log) return share;
    return share > 0 ? clamp(1 + Math.log10(share) / DECADES, 0, 1) : 0;
  }

  /** Return the place of a number's colour in the table. */
  place(value) {
    const share = this.strength(value);
    return Math.round(255 * (this.signed ? 0.5 + (Math.sign(value) * share) / 2 : share));
  }

  css(value) {
    return `rgb(${this.table[this.place(value)].join(" ")})`;
  }

  /** Return the colour of a text on a number's colour. */
  ink(value) {
    const [red, green, blue] = this.table[this.place(value)];
    return 0.299 * red + 0.587 * green + 0.114 * blue > 140 ? "#16181d" : "#ffffff";
  }

  /** Return the colour of one of the heads that are shown together. */
  head(place) {
    return this.heads[place % this.heads.length];
  }

  /** Return the colour of a line that stands for a number: orange above 0 where there are numbers below. */
  line(value) {
    return this.signed && value > 0 ? "var(--other)" : "var(--link)";
  }

  /** Return the colour of one of several heads for a number: the stronger, the more of it. */
  tint(place, value, most = 82) {
    return `color-mix(in srgb, ${this.head(place)} ${Math.round(8 + most * this.strength(value))}%, transparent)`;
  }
}

/** Return a scale as a bar, with what stands at its ends: its numbers unless others are given. */
function makeLegend({ pixels, peak, signed, log }, ends) {
  const canvas = element("canvas", { width: 256, height: 1 });
  canvas.getContext("2d").putImageData(new ImageData(new Uint8ClampedArray(pixels.buffer), 256, 1), 0, 0);
  const [low, high] = ends ?? [signed ? `−${format(peak)}` : log ? `≤ ${format(peak / 10 ** DECADES)}` : "0", format(peak)];
  return element("span", { class: "scale", role: "img", "aria-label": `Shades from ${low} to ${high}${log ? ", logarithmic" : ""}` }, low, canvas, high);
}
