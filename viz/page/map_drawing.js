"use strict";
// The dots are blended into one pixel buffer by hand: 4 ms a frame for 35,000 of them on a machine without a GPU, where
// drawing each with the canvas takes 15 to 160 ms and WebGL may be missing.
const byId = (id) => document.getElementById(id);
const faces = JSON.parse(byId("faces").textContent); // {title, honest, note, groups: [{name, shade}], x, y, group, id, source}
const n = faces.id.length;
const dots = byId("dots"), marks = byId("marks"), tip = byId("tip");
const pen = dots.getContext("2d", { alpha: false }), marker = marks.getContext("2d");
const counts = faces.groups.map((_, g) => faces.group.reduce((sum, own) => sum + (own === g), 0));
const visible = faces.groups.map(() => true);
const medians = faces.groups.map((_, g) => [median(faces.x, g), median(faces.y, g)]);
const order = shuffled(n); // one mixed order, so that no class lies on top because of its number
const span = Math.max(extent(faces.x), extent(faces.y), 1);
let ratio, width, height, image, pixels; // the canvas, in device pixels
let scale, left, top_, fitted; // map to device pixels: left + x * scale, top_ - y * scale; fitted: the scale that shows all
let room; // side of the fitted map, in CSS pixels
let hovered = -1, wanted = false;

function extent(values) {
  return values.reduce((most, v) => Math.max(most, v), 0); // values start at 0
}

function median(values, group) {
  const own = values.filter((_, i) => faces.group[i] === group).sort((a, b) => a - b);
  return own.length ? (own[(own.length - 1) >> 1] + own[own.length >> 1]) / 2 : 0;
}

function shuffled(length) {
  const rows = Uint32Array.from({ length }, (_, i) => i);
  for (let i = length - 1, state = 1; i > 0; i--) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0; // seeded: the same picture each time
    const j = state % (i + 1);
    [rows[i], rows[j]] = [rows[j], rows[i]];
  }
  return rows;
}

function rgb(hex) {
  return [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function resize() {
  const anchor = scale === undefined ? null : { zoom: scale / fitted, x: (width / 2 - left) / scale, y: (top_ - height / 2) / scale };
  ratio = window.devicePixelRatio || 1;
  width = Math.max(1, Math.round(innerWidth * ratio));
  height = Math.max(1, Math.round(innerHeight * ratio));
  for (const canvas of [dots, marks]) [canvas.width, canvas.height] = [width, height];
  image = pen.createImageData(width, height);
  pixels = new Uint32Array(image.data.buffer);
  fit();
  if (!anchor || anchor.zoom === 1) return;
  scale = fitted * anchor.zoom;
  [left, top_] = [width / 2 - anchor.x * scale, height / 2 + anchor.y * scale];
}

function fit() {
  const narrow = innerWidth <= 760;
  const [above, right, below, side] = (narrow ? [80, 24, 0.28 * innerHeight + 120, 24] : [90, 280, 90, 50]).map((v) => v * ratio);
  const [w, h] = [Math.max(width - right - side, 50), Math.max(height - above - below, 50)];
  const [wide, high] = [extent(faces.x), extent(faces.y)];
  scale = fitted = Math.min(w / Math.max(wide, 1), h / Math.max(high, 1), Math.max(w, h) / span);
  room = Math.sqrt(w * h) / ratio;
  left = side + (w - wide * scale) / 2;
  top_ = above + (h + high * scale) / 2;
  redraw();
}

function radius() {
  const base = Math.min(8, Math.max(1.7, 9 - 1.6 * Math.log10(n + 1))) * Math.min(1.4, Math.max(0.55, room / 750));
  return ratio * Math.min(9, base * Math.sqrt(Math.max(1, scale / fitted)));
}

function stamp(r) { // where a dot puts how much of its colour: [dx, dy, weight of 256], soft at the rim
  const rows = [];
  for (let y = -Math.ceil(r); y <= r + 1; y++) {
    for (let x = -Math.ceil(r); x <= r + 1; x++) {
      const cover = Math.min(1, Math.max(0, r + 0.5 - Math.hypot(x, y)));
      if (cover > 0) rows.push([x, y, Math.round(256 * cover * (n > 2000 ? 0.62 : 0.85))]);
    }
  }
  return rows;
}

function drawDots() {
  const [red, green, blue] = rgb(colour("--paper"));
  pixels.fill((255 << 24) | (blue << 16) | (green << 8) | red);
  const r = radius(), rim = Math.ceil(r) + 1, spots = stamp(r);
  const shades = faces.groups.map((group) => rgb(group.shade));
  const flat = new Int32Array(spots.map(([x, y]) => y * width + x)), weights = new Int32Array(spots.map((spot) => spot[2]));
  for (const i of order) {
    const group = faces.group[i];
    const x = Math.round(left + faces.x[i] * scale), y = Math.round(top_ - faces.y[i] * scale);
    if (!visible[group] || x < rim || y < rim || x >= width - rim || y >= height - rim) continue;
    const [sr, sg, sb] = shades[group], centre = y * width + x;
    for (let s = 0; s < flat.length; s++) {
      const at = centre + flat[s], under = pixels[at], w = weights[s], rest = 256 - w;
      pixels[at] = (255 << 24) | ((((under >> 16) & 255) * rest + sb * w) >> 8) << 16
        | ((((under >> 8) & 255) * rest + sg * w) >> 8) << 8 | (((under & 255) * rest + sr * w) >> 8);
    }
  }
  pen.putImageData(image, 0, 0);
}

function drawMarks() {
  marker.setTransform(ratio, 0, 0, ratio, 0, 0);
  marker.clearRect(0, 0, innerWidth, innerHeight);
  const few = n > 60 ? [] : Array.from(order); // among few faces a name may not hide one
  const taken = few.map(position).map(([x, y]) => ({ x, y, w: 2 * radius() / ratio, h: 2 * radius() / ratio }));
  const largest = faces.groups.map((_, g) => g).filter((g) => visible[g] && counts[g] && faces.groups[g].named);
  for (const g of largest.sort((a, b) => counts[b] - counts[a])) drawName(g, taken);
  if (hovered < 0) return;
  const [x, y] = position(hovered);
  marker.beginPath();
  marker.arc(x, y, radius() / ratio + 3, 0, 7);
  marker.lineWidth = 2;
  marker.strokeStyle = colour("--ink");
  marker.stroke();
}

function drawName(g, taken) { // at the class's median; aside on a spiral where another name stands already
  const { name, shade, ink } = faces.groups[g];
  const [cx, cy] = [(left + medians[g][0] * scale) / ratio, (top_ - medians[g][1] * scale) / ratio];
  marker.font = '700 13px "DejaVu Sans", Verdana, system-ui, sans-serif';
  const w = marker.measureText(name).width + 16, h = 24;
  for (let step = 0; step < 1500; step++) {
    const far = 0.1 * h * Math.sqrt(step), x = cx + 1.6 * far * Math.cos(2.4 * step), y = cy + far * Math.sin(2.4 * step);
    if (taken.some((t) => Math.abs(t.x - x) < (t.w + w) / 2 + 3 && Math.abs(t.y - y) < (t.h + h) / 2 + 3)) continue;
    taken.push({ x, y, w, h });
    marker.strokeStyle = colour("--ink");
    marker.lineWidth = 1;
    if (step) marker.stroke(new Path2D(`M${cx} ${cy}L${x} ${y}`));
    marker.beginPath();
    marker.roundRect(x - w / 2, y - h / 2, w, h, 8);
    marker.fillStyle = shade;
    marker.fill();
    marker.strokeStyle = colour("--paper");
    marker.lineWidth = 2;
    marker.stroke();
    marker.fillStyle = ink;
    marker.textAlign = "center";
    marker.textBaseline = "middle";
    marker.fillText(name, x, y + 1);
    return;
  }
}

function redraw() { // any number of changes, one picture a frame
  if (wanted) return;
  wanted = true;
  requestAnimationFrame(() => {
    wanted = false;
    drawDots();
    drawMarks();
  });
}

function position(i) { // in CSS pixels
  return [(left + faces.x[i] * scale) / ratio, (top_ - faces.y[i] * scale) / ratio];
}

function nearest(x, y) { // looking at all faces takes a tenth of a millisecond
  let best = (radius() / ratio + 6) ** 2, found = -1;
  for (let i = 0; i < n; i++) {
    if (!visible[faces.group[i]]) continue;
    const dx = (left + faces.x[i] * scale) / ratio - x, dy = (top_ - faces.y[i] * scale) / ratio - y;
    if (dx * dx + dy * dy < best) [best, found] = [dx * dx + dy * dy, i];
  }
  return found;
}

function hover(i) {
  if (i !== hovered) {
    hovered = i;
    drawMarks();
  }
  tip.hidden = i < 0;
  if (i < 0) return;
  const group = faces.groups[faces.group[i]], [id, source] = tip.querySelectorAll("dd");
  tip.querySelector("strong").textContent = group.name;
  id.textContent = faces.id[i];
  source.textContent = faces.source[i];
  tip.style.setProperty("--shade", group.shade);
  const [x, y] = position(i), box = tip.getBoundingClientRect();
  const across = x + 16 + box.width < innerWidth ? x + 16 : x - 16 - box.width;
  tip.style.transform = `translate(${Math.max(4, across)}px, ${Math.max(4, Math.min(innerHeight - box.height - 4, y - box.height / 2))}px)`;
}
