// Drawn over the dots: class names, the current face with its neighbors, and the lasso.
const marks = byId("marks");
const marker = marks.getContext("2d");
const TYPE = '700 14px "Inter", "Segoe UI", system-ui, "DejaVu Sans", sans-serif';
let hovered = -1, pinned = -1; // rows
let lasso = null; // [[x, y], ...] in CSS pixels while it is drawn
const peaks = faces.groups.map(({ at: [x, y] }, g) => { // where each class is densest, and its upper end
  return { x, y, top: quantile(sorted(rowsWhere((i) => faces.group[i] === g).map((i) => faces.y[i])), 0.95) };
});

function sorted(values) {
  return values.sort((a, b) => a - b);
}

function quantile(values, share) {
  return values.length ? values[Math.round((values.length - 1) * share)] : 0;
}

function drawMarks() {
  marker.setTransform(ratio, 0, 0, ratio, 0, 0);
  marker.clearRect(0, 0, innerWidth, innerHeight);
  const side = 2 * radius() / ratio, few = n > 60 ? [] : Array.from(order); // names do not cover dots if there are few
  const taken = few.map(position).map(([x, y]) => ({ x, y, w: side, h: side }));
  marker.globalAlpha = hovered >= 0 || pinned >= 0 ? 0.4 : 1; // fade names while a face is hovered or selected
  const present = faces.groups.map((_, g) => g).filter((g) => passing[g] && filters.groups[g] && faces.groups[g].named);
  for (const g of present.sort((a, b) => totals[b] - totals[a])) drawName(g, taken);
  marker.globalAlpha = 1;
  if (pinned >= 0) drawFace(pinned);
  if (hovered >= 0 && hovered !== pinned) drawFace(hovered);
  drawLive();
  if (lasso) drawLasso();
}

function drawName(g, taken) { // where the class is densest; above small classes, moved aside to avoid other names
  const { x: mx, y: my, top: high } = peaks[g], name = faces.groups[g].name, h = 20;
  const small = (high - my) * scale / ratio < 30 ? (high - my) * scale / ratio + h : 0;
  marker.font = TYPE;
  const w = marker.measureText(name).width + 8, x0 = (left + mx * scale) / ratio, cy = (top_ - my * scale) / ratio - small;
  const cx = x0 > 0 && x0 < innerWidth ? Math.min(Math.max(x0, w / 2), innerWidth - w / 2) : x0; // inside the window while the class is visible
  for (let step = 0; step < (faces.groups.length > 12 ? 60 : 1500); step++) { // of many names, only those with space
    const far = 0.1 * h * Math.sqrt(step), x = cx + 1.6 * far * Math.cos(2.4 * step), y = cy + far * Math.sin(2.4 * step);
    if (taken.some((t) => Math.abs(t.x - x) < (t.w + w) / 2 + 3 && Math.abs(t.y - y) < (t.h + h) / 2 + 3)) continue;
    taken.push({ x, y, w, h });
    if (step) line([x0, cy + small], [x, y], ink, 1);
    [marker.textAlign, marker.textBaseline, marker.lineJoin] = ["center", "middle", "round"];
    [marker.strokeStyle, marker.fillStyle, marker.lineWidth] = [paper, ink, 5];
    marker.strokeText(name, x, y);
    marker.fillText(name, x, y);
    return;
  }
}

function drawFace(i) { // with a line and a ring to each neighbor
  const at = position(i), reach = radius() / ratio;
  for (const row of neighborsOf(i)) {
    const to = position(row), far = Math.hypot(to[0] - at[0], to[1] - at[1]) || 1, gap = reach + 4;
    if (far > 2 * gap) {
      const part = (from, share) => [0, 1].map((axis) => from[axis] + (to[axis] - at[axis]) * share);
      line(part(at, (gap + 2) / far), part(to, -gap / far), paper, 4);
      line(part(at, (gap + 2) / far), part(to, -gap / far), ink, 1.5);
    }
    disc(to, reach + 1, shades[colorGroups[row]]);
    ring(to, reach + 3, 1.5);
  }
  disc(at, reach + 2, shades[colorGroups[i]]);
  ring(at, reach + 5, 2.5);
}

function line(from, to, shade, thick) {
  marker.beginPath();
  marker.moveTo(...from);
  marker.lineTo(...to);
  [marker.strokeStyle, marker.lineWidth] = [shade, thick];
  marker.stroke();
}

function disc([x, y], r, shade) {
  marker.beginPath();
  marker.arc(x, y, r, 0, 7);
  marker.fillStyle = shade;
  marker.fill();
}

function ring([x, y], r, thick) { // outlined in the background color to stand out
  for (const [shade, wider] of [[paper, 3], [ink, 0]]) {
    marker.beginPath();
    marker.arc(x, y, r, 0, 7);
    [marker.strokeStyle, marker.lineWidth] = [shade, thick + wider];
    marker.stroke();
  }
}

function drawLasso() {
  marker.beginPath();
  for (const at of lasso) marker.lineTo(...at);
  marker.closePath();
  marker.fillStyle = marker.strokeStyle = ink;
  marker.globalAlpha = 0.1;
  marker.fill();
  marker.globalAlpha = 1;
  marker.lineWidth = 1.5;
  marker.setLineDash([5, 4]);
  marker.stroke();
  marker.setLineDash([]);
}
