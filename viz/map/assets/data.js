"use strict";
// The columns of all faces, as viz/map/page.py encodes them, and the attributes of one face.
const byId = (id) => document.getElementById(id);
const isNarrow = () => innerWidth <= 760; // as in map.css
const faces = unpacked(JSON.parse(byId("faces").textContent));
const n = faces.id.length;
const UNSURE = 65535;
const STEPS = 65535; // length of the map's longer side, as in viz/map/page.py
const lowercased = faces.source.map((source) => source.toLowerCase());
const predictions = faces.predicted.some((group) => group >= 0);
const colorGroups = faces.group.map((group, i) => (isLabelled(i) || faces.predicted[i] < 0 ? group : faces.predicted[i])); // group that determines the color
const highlighted = rowsWhere((i) => ["taught", "session"].includes(originOf(i))); // drawn larger, on top of the others
const ORIGINS = { gallery: "gallery", taught: "taught by you", session: "this session", data: "your data" };

function unpacked(packed) { // assumes little-endian, as in all browsers
  const kinds = { x: Uint16Array, y: Uint16Array, group: Int16Array, predicted: Int16Array, confidence: Uint16Array,
    split: Uint16Array, origin: Uint16Array, neighbors: Int32Array, picture: Int32Array, id: BigInt64Array };
  if (packed.served) kinds.served = Uint8Array;
  for (const [name, Kind] of Object.entries(kinds)) {
    const bytes = atob(packed[name]), column = new Uint8Array(bytes.length);
    for (let i = 0; i < bytes.length; i++) column[i] = bytes.charCodeAt(i);
    packed[name] = new Kind(column.buffer);
  }
  return packed;
}

function rowsWhere(test) {
  const rows = [];
  for (let i = 0; i < n; i++) if (test(i)) rows.push(i);
  return rows;
}

function originOf(i) {
  return faces.origins[faces.origin[i]];
}

function neighborsOf(i) {
  return Array.from(faces.neighbors.subarray(i * faces.nearest, (i + 1) * faces.nearest)).filter((row) => row >= 0);
}

function isLabelled(i) {
  return faces.groups[faces.group[i]].named;
}

function verdictOf(i) { // "right", "wrong", or "" without a label or a prediction
  if (faces.predicted[i] < 0 || !isLabelled(i)) return "";
  return faces.predicted[i] === faces.group[i] ? "right" : "wrong";
}

function confidenceOf(i) { // in [0, 1]; NaN without a prediction
  return faces.confidence[i] === UNSURE ? NaN : faces.confidence[i] / 10000;
}

function tint(made, group) {
  made.style.setProperty("--shade", `var(--g${group})`);
  return made;
}

function counted(number, one, many) {
  return `${number.toLocaleString("en")} ${number === 1 ? one : many}`;
}

function element(tag, className, words) { // text only, because sources and labels are untrusted
  const made = document.createElement(tag);
  if (className) made.className = className;
  if (words !== undefined) made.textContent = words;
  return made;
}

function mark(group) {
  return tint(element("span", "mark", faces.groups[group].name), group);
}
