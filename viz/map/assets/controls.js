// Mouse, touch and keyboard.
const pointers = new Map(); // pointer id -> [x, y]; two pointers pinch
const STEP = 1.35;
let travelled = 0; // pixels since the pointer went down; a click moves less than 4
let drawing = false; // the next drag draws a lasso

function zoom(factor, x, y) { // around a fixed point in CSS pixels
  const to = Math.min(fitted * 80, Math.max(fitted * 0.5, scale * factor));
  [left, top_] = [x * ratio - ((x * ratio - left) * to) / scale, y * ratio - ((y * ratio - top_) * to) / scale];
  [scale, untouched] = [to, false];
  redraw();
}

function zoomAtCenter(factor) {
  zoom(factor, innerWidth / 2, innerHeight / 2);
}

function pan(dx, dy) {
  left += Math.round(dx * ratio); // whole pixels, so that all dots move by the same distance
  top_ += Math.round(dy * ratio);
  untouched = false;
  redraw();
}

function draw(on) {
  drawing = on;
  byId("lasso").setAttribute("aria-pressed", on);
  dots.classList.toggle("drawing", on);
}

function pressed(event) {
  dots.setPointerCapture(event.pointerId);
  pointers.set(event.pointerId, [event.clientX, event.clientY]);
  travelled = 0;
  if (pointers.size === 1 && (drawing || event.shiftKey)) lasso = [[event.clientX, event.clientY]];
  else lasso = null;
  dots.classList.toggle("moving", !lasso);
}

function moved(event) {
  const before = pointers.get(event.pointerId), now = [event.clientX, event.clientY];
  if (!before) {
    hover(nearest(...now));
    return;
  }
  pointers.set(event.pointerId, now);
  travelled += Math.hypot(now[0] - before[0], now[1] - before[1]);
  if (lasso) {
    lasso.push(now);
    drawMarks();
    return;
  }
  if (travelled > 4) hover(-1);
  const [other] = [...pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
  if (!other) {
    pan(now[0] - before[0], now[1] - before[1]);
    return;
  }
  const gap = ([x, y]) => Math.max(20, Math.hypot(x - other[0], y - other[1]));
  pan((now[0] - before[0]) / 2, (now[1] - before[1]) / 2);
  zoom(gap(now) / gap(before), (now[0] + other[0]) / 2, (now[1] + other[1]) / 2);
}

function released(event) {
  const [ring_, clicked] = [lasso, event.type === "pointerup" && travelled <= 4 && pointers.size === 1];
  pointers.delete(event.pointerId);
  dots.classList.toggle("moving", pointers.size > 0);
  lasso = null;
  if (ring_ && !clicked) {
    draw(false);
    pin(-1);
    list(event.type === "pointerup" ? inside(ring_) : []);
  } else if (clicked) {
    pin(nearest(event.clientX, event.clientY));
    if (pinned >= 0 && isNarrow()) reveal(pinned); // not covered by the card
  }
  drawMarks();
}

function walk(dx, dy) { // to the nearest face in a direction
  const from = hovered >= 0 ? hovered : pinned, [x, y] = from >= 0 ? position(from) : [innerWidth / 2, innerHeight / 2];
  let best = Infinity, to = from;
  for (let i = 0; i < n; i++) {
    if (!shown[i] || i === from) continue;
    const [ox, oy] = position(i), along = (ox - x) * dx + (oy - y) * dy, aside = Math.abs((ox - x) * dy) + Math.abs((oy - y) * dx);
    const far = from >= 0 ? along + 2 * aside : Math.abs(along) + aside;
    if ((from < 0 || (along > 0 && aside <= along)) && far < best) [best, to] = [far, i];
  }
  if (pinned >= 0) jump(to);
  else hover(to);
}

function stepBack() { // undo one step: lasso, selection, hover, list
  if (drawing || lasso) {
    lasso = null;
    draw(false);
    drawMarks();
  } else if (pinned >= 0) pin(-1);
  else if (hovered >= 0) hover(-1);
  else if (listed.length) list([]);
}

function typed(event) {
  const ways = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
  const keys = {
    "+": () => zoomAtCenter(STEP), "=": () => zoomAtCenter(STEP), "-": () => zoomAtCenter(1 / STEP), 0: fit,
    Enter: () => pin(hovered >= 0 ? hovered : pinned), Escape: stepBack, l: () => draw(!drawing), "/": () => byId("search").focus(),
  };
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input")) return; // leave browser shortcuts and text input alone
  if (event.key in ways && event.target !== document.body && event.target !== dots) return;
  if (event.key === "Enter" && event.target !== dots) return;
  if (event.key in ways) {
    const [dx, dy] = ways[event.key];
    event.shiftKey ? walk(dx, dy) : pan(-60 * dx, -60 * dy);
  } else if (event.key in keys) keys[event.key]();
  else return;
  event.preventDefault();
}

function start() {
  addFilters();
  startList();
  startSearch();
  startLive();
  dots.addEventListener("pointerdown", pressed);
  dots.addEventListener("pointermove", moved);
  for (const end of ["pointerup", "pointercancel"]) dots.addEventListener(end, released);
  dots.addEventListener("pointerleave", () => hover(-1));
  dots.addEventListener("wheel", (event) => {
    event.preventDefault();
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_PIXEL ? 1 : 20;
    zoom(Math.exp(-Math.max(-200, Math.min(200, event.deltaY * lines)) / 400), event.clientX, event.clientY);
    hover(nearest(event.clientX, event.clientY));
  }, { passive: false });
  dots.addEventListener("dblclick", (event) => zoom(2, event.clientX, event.clientY));
  addEventListener("keydown", typed);
  byId("lasso").addEventListener("click", () => draw(!drawing));
  byId("in").addEventListener("click", () => zoomAtCenter(STEP));
  byId("out").addEventListener("click", () => zoomAtCenter(1 / STEP));
  byId("fit").addEventListener("click", fit);
  byId("open").addEventListener("click", () => byId("open").setAttribute("aria-expanded", document.body.classList.toggle("filtering")));
  addEventListener("resize", resize);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", paint);
  paint();
  resize();
  apply();
  tellSelection([]);
}

start();
