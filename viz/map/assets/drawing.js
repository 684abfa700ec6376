// The dots. They are blended in one pixel buffer: 6 ms per frame for 28,709 dots on a machine without a GPU, where canvas
// calls take 15 to 160 ms and WebGL may be missing.
const dots = byId("dots");
const pen = dots.getContext("2d", { alpha: false });
const order = shuffled(n); // random order, so that no class hides others
const [wide, high] = [faces.x, faces.y].map((steps) => steps.reduce((most, step) => Math.max(most, step), 0));
let drawn = order; // the rows to draw, in this order
let shown = new Uint8Array(n).fill(1); // whether a face passes the filters
let focus = null; // 1 for each found or selected face; the others fade. null: no emphasis
let ratio, width, height, image, pixels; // the canvas, in device pixels
let scale, left, top_, fitted; // map to device pixels: left + x * scale, top_ - y * scale; fitted: the scale that fits all faces
let room; // side of the fitted map, in CSS pixels
let untouched = true; // no pan or zoom since the map was fitted
let foot; // height of the footer, in CSS pixels
let frameRequested = false;
let shades, ink, paper; // hex colors of the groups, the text and the background
const sprites = new Map();

function shuffled(length) {
  const rows = Uint32Array.from({ length }, (_, i) => i);
  for (let i = length - 1, state = 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // seeded: the same picture each time
    const j = state % (i + 1);
    [rows[i], rows[j]] = [rows[j], rows[i]];
  }
  return rows;
}

function packed(hex) { // a pixel: alpha, blue, green, red from the highest byte down
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return (255 << 24) | (blue << 16) | (green << 8) | red;
}

function color(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function paint() { // read the colors of the light or dark scheme
  shades = faces.groups.map((_, g) => color(`--g${g}`));
  [ink, paper] = ["--ink", "--paper"].map(color);
  redraw();
}

function resize() {
  const anchor = untouched ? null : { zoom: scale / fitted, x: (width / 2 - left) / scale, y: (top_ - height / 2) / scale };
  ratio = window.devicePixelRatio || 1;
  width = Math.max(1, Math.round(innerWidth * ratio));
  height = Math.max(1, Math.round(innerHeight * ratio));
  foot = innerHeight - document.querySelector("footer").getBoundingClientRect().top + 14;
  document.documentElement.style.setProperty("--foot", `${foot}px`);
  for (const canvas of [dots, marks]) [canvas.width, canvas.height] = [width, height];
  image = pen.createImageData(width, height);
  pixels = new Int32Array(image.data.buffer);
  fit();
  if (!anchor) return;
  scale = fitted * anchor.zoom;
  [left, top_, untouched] = [width / 2 - anchor.x * scale, height / 2 + anchor.y * scale, false];
}

function fit() { // to the area between header, panel and footer; the list does not change it, so that opening it moves nothing
  const [above, right, below, least, list] = (isNarrow() ? [104, 60, 160, 20, 20] : [90, 310, foot, 50, 330]).map((v) => v * ratio);
  const [w, h] = [Math.max(width - right - least, 50), Math.max(height - above - below, 50)];
  scale = fitted = Math.min(w / Math.max(wide, 1), h / Math.max(high, 1));
  room = Math.sqrt(w * h) / ratio;
  const side = Math.min(list, Math.max(least, width - right - wide * scale)); // space for the list, if available
  left = side + Math.max(width - right - side - wide * scale, 0) / 2;
  top_ = above + (h + high * scale) / 2;
  untouched = true;
  redraw();
}

function radius() { // of a dot, in device pixels
  const base = Math.min(8, Math.max(1.7, 9 - 1.6 * Math.log10(n + 1))) * Math.min(1.4, Math.max(0.55, room / 750));
  return ratio * Math.min(9, base * Math.sqrt(Math.max(1, scale / fitted)));
}

function stamp(r, strength) { // pixel offsets and weights of a dot with an antialiased rim
  const flat = [], weights = [];
  for (let y = -Math.ceil(r); y <= r + 1; y++) {
    for (let x = -Math.ceil(r); x <= r + 1; x++) {
      const cover = Math.min(1, Math.max(0, r + 0.5 - Math.hypot(x, y)));
      if (cover > 0) {
        flat.push(y * width + x);
        weights.push(Math.round(256 * cover * strength));
      }
    }
  }
  return { flat: Int32Array.from(flat), weights: Int32Array.from(weights), rim: Math.ceil(r) + 1 };
}

function blend(rows, { flat, weights, rim }) { // red and blue together, 16 bits apart, which halves the time
  const tones = Int32Array.from(shades, packed), { x: across, y: up } = faces;
  for (const i of rows) {
    const x = Math.round(left + across[i] * scale), y = Math.round(top_ - up[i] * scale);
    if (x < rim || y < rim || x >= width - rim || y >= height - rim) continue;
    const tone = tones[colorGroups[i]], redBlue = tone & 0xff00ff, green = (tone >> 8) & 0xff, center = y * width + x;
    for (let s = 0; s < flat.length; s++) {
      const at = center + flat[s], under = pixels[at], w = weights[s], rest = 256 - w;
      pixels[at] = (255 << 24) | (((Math.imul(under & 0xff00ff, rest) + Math.imul(redBlue, w)) >>> 8) & 0xff00ff)
        | ((((under >> 8) & 0xff) * rest + green * w) & 0xff00);
    }
  }
}

function drawDots() {
  const r = radius(), strength = n > 2000 ? 0.62 : 0.85;
  pixels.fill(packed(paper));
  if (focus) {
    blend(drawn.filter((i) => !focus[i]), stamp(r, drawn.length > 5000 ? 0.07 : 0.2));
    blend(drawn.filter((i) => focus[i]), stamp(r, 0.9));
  } else blend(drawn, stamp(r, strength));
  pen.putImageData(image, 0, 0);
  for (const i of highlighted) if (shown[i]) drawHighlighted(i);
  pen.globalAlpha = 1;
}

function drawHighlighted(i) {
  const picture = sprite(shades[colorGroups[i]], originOf(i)), half = picture.width / 2;
  pen.globalAlpha = focus && !focus[i] ? 0.25 : 1;
  pen.drawImage(picture, Math.round(left + faces.x[i] * scale - half), Math.round(top_ - faces.y[i] * scale - half));
}

function highlightedRadius() {
  return Math.max(5.5 * ratio, 1.7 * radius());
}

function sprite(shade, origin) { // taught faces are discs, session faces diamonds, both outlined
  const r = highlightedRadius(), key = [shade, origin, r, ink].join();
  if (sprites.has(key)) return sprites.get(key);
  if (sprites.size > 200) sprites.clear(); // sprites of other zoom levels
  const picture = document.createElement("canvas"), c = Math.ceil(r + 4 * ratio), at = picture.getContext("2d");
  picture.width = picture.height = 2 * c;
  const shape = new Path2D();
  if (origin === "session") for (const [x, y] of [[0, -1.25], [1.25, 0], [0, 1.25], [-1.25, 0]]) shape.lineTo(c + x * r, c + y * r);
  else shape.arc(c, c, r, 0, 7);
  shape.closePath();
  at.lineJoin = "round";
  for (const [line, thick] of [[paper, 5], [ink, 2.4]]) {
    [at.strokeStyle, at.lineWidth] = [line, thick * ratio];
    at.stroke(shape);
  }
  at.fillStyle = shade;
  at.fill(shape);
  sprites.set(key, picture);
  return picture;
}

function redraw() { // at most once per frame
  if (frameRequested) return;
  frameRequested = true;
  requestAnimationFrame(() => {
    frameRequested = false;
    drawDots();
    drawMarks();
    placeCard();
  });
}

function position(i) { // in CSS pixels
  return [(left + faces.x[i] * scale) / ratio, (top_ - faces.y[i] * scale) / ratio];
}

function nearest(x, y) { // a linear search takes 0.1 ms
  return nearestOf(highlighted, x, y, highlightedRadius() / ratio + 2) ?? nearestOf(drawn, x, y, radius() / ratio + 6) ?? -1;
}

function nearestOf(rows, x, y, reach) {
  let best = reach ** 2, found;
  for (const i of rows) {
    const dx = (left + faces.x[i] * scale) / ratio - x, dy = (top_ - faces.y[i] * scale) / ratio - y;
    if (dx * dx + dy * dy < best && shown[i]) [best, found] = [dx * dx + dy * dy, i];
  }
  return found;
}
