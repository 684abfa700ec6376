"use strict";
const pointers = new Map(); // pointer id -> [x, y]; two of them pinch
const STEP = 1.35;

function zoom(factor, x, y) { // around a point in CSS pixels, which stays where it is
  const next = Math.min(fitted * 80, Math.max(fitted * 0.5, scale * factor));
  [left, top_] = [x * ratio - ((x * ratio - left) * next) / scale, y * ratio - ((y * ratio - top_) * next) / scale];
  scale = next;
  redraw();
}

function zoomAtCentre(factor) {
  zoom(factor, innerWidth / 2, innerHeight / 2);
}

function pan(dx, dy) {
  left += Math.round(dx * ratio); // whole pixels, so that all dots move alike
  top_ += Math.round(dy * ratio);
  redraw();
}

function show(change) { // change(g, was) -> whether class g is visible
  faces.groups.forEach((_, g) => { visible[g] = change(g, visible[g]); });
  document.querySelectorAll(".toggle").forEach((button, g) => button.setAttribute("aria-pressed", visible[g]));
  const left_ = counts.reduce((sum, count, g) => sum + (visible[g] ? count : 0), 0);
  byId("shown").textContent = n === 0 ? "No faces yet" : left_ === n ? faces.subtitle : `${left_.toLocaleString("en")} of them shown`;
  byId("all").disabled = visible.every(Boolean);
  hover(-1);
  redraw();
}

function addToLegend(group, g) {
  const row = document.createElement("li");
  const toggle = row.appendChild(document.createElement("button"));
  toggle.className = "toggle";
  toggle.title = "Show or hide";
  const [, name, count] = ["i", "span", "b", "u"].map((tag) => toggle.appendChild(document.createElement(tag)));
  name.textContent = name.title = group.name;
  count.textContent = counts[g].toLocaleString("en");
  row.style.setProperty("--shade", group.shade);
  row.style.setProperty("--share", `${(100 * counts[g]) / Math.max(1, ...counts)}%`);
  toggle.addEventListener("click", () => show((other, was) => (other === g ? !was : was)));
  const only = row.appendChild(document.createElement("button"));
  only.className = "only";
  only.textContent = "only";
  only.setAttribute("aria-label", `Only ${group.name}`);
  only.addEventListener("click", () => show((other) => other === g));
  byId("legend").append(row);
}

function moved(event) {
  const before = pointers.get(event.pointerId), now = [event.clientX, event.clientY];
  if (!before) {
    hover(nearest(...now));
    return;
  }
  pointers.set(event.pointerId, now);
  hover(-1);
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
  pointers.delete(event.pointerId);
  dots.classList.toggle("moving", pointers.size > 0);
  if (event.type === "pointerup") hover(nearest(event.clientX, event.clientY)); // a tap asks what is there
}

function pressed(event) {
  const keys = {
    "+": () => zoomAtCentre(STEP), "=": () => zoomAtCentre(STEP), "-": () => zoomAtCentre(1 / STEP), 0: fit,
    ArrowLeft: () => pan(60, 0), ArrowRight: () => pan(-60, 0), ArrowUp: () => pan(0, 60), ArrowDown: () => pan(0, -60),
    Escape: () => hover(-1),
  };
  if (event.ctrlKey || event.metaKey || event.altKey || !(event.key in keys)) return; // the browser's own
  keys[event.key]();
  event.preventDefault();
}

function start() {
  document.title = byId("title").textContent = faces.title;
  byId("honest").textContent = faces.honest;
  byId("note").textContent = faces.note;
  faces.groups.forEach(addToLegend);
  dots.addEventListener("pointerdown", (event) => {
    dots.setPointerCapture(event.pointerId);
    pointers.set(event.pointerId, [event.clientX, event.clientY]);
    dots.classList.add("moving");
  });
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
  dots.addEventListener("keydown", pressed);
  byId("in").addEventListener("click", () => zoomAtCentre(STEP));
  byId("out").addEventListener("click", () => zoomAtCentre(1 / STEP));
  byId("fit").addEventListener("click", fit);
  byId("all").addEventListener("click", () => show(() => true));
  addEventListener("resize", resize);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redraw);
  resize();
  show(() => true);
}

start();
