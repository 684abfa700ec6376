"use strict";
// Show the numbers of the bin under the pointer, or at the cursor that the arrow keys move.
const data = JSON.parse(document.getElementById("data").textContent);
const tip = document.getElementById("tip");
const cursor = document.createElement("i");
cursor.id = "cursor";
let current = 0;

function clock(seconds) {
  const two = (value) => String(value).padStart(2, "0");
  const hours = Math.floor(seconds / 3600), minutes = Math.floor(seconds / 60) % 60, rest = two(seconds % 60);
  return hours ? `${hours}:${two(minutes)}:${rest}` : `${minutes}:${rest}`;
}

function line(name, value, shade) {
  const row = document.createElement("p"), left = document.createElement("span"), right = document.createElement("span");
  left.textContent = name;
  right.textContent = value;
  if (shade) {
    left.className = "mark";
    left.style.setProperty("--shade", shade);
  }
  row.append(left, right);
  return row;
}

function lines(at) {
  const head = line(clock(at * data.width), "");
  head.className = "head";
  if (data.kept[at] !== 0) return [head, line(data.reasons[data.kept[at]], "")];
  const [faces, readable, unsure] = data.counts[at].map((count) => (data.width === 1 ? count / 10 : (count / 10).toFixed(1)));
  const shares = data.shares[at]
    .map((share, column) => [share, column])
    .filter(([share]) => share >= 5)
    .sort((one, other) => other[0] - one[0])
    .map(([share, column]) => line(data.names[column], `${Math.round(share / 10)} %`, data.shades[column]));
  return [head, ...shares, line("faces", faces), line("readable", readable), line("unsure", unsure)];
}

function show(drawing, at) {
  current = Math.min(Math.max(at, 0), data.kept.length - 1);
  tip.replaceChildren(...lines(current));
  tip.hidden = false;
  const box = drawing.getBoundingClientRect(), middle = ((current + 0.5) / data.kept.length) * box.width;
  cursor.style.left = `${middle}px`;
  drawing.append(cursor);
  const room = document.documentElement.clientWidth - tip.offsetWidth - 8;
  const right = box.left + middle + 14;
  const left = right < room ? right : box.left + middle - tip.offsetWidth - 14;
  tip.style.left = `${Math.max(8, Math.min(left, room)) + scrollX}px`;
  tip.style.top = `${box.top + scrollY + 8}px`;
}

function hide() {
  tip.hidden = true;
  cursor.remove();
}

for (const drawing of document.querySelectorAll(".drawing")) {
  const follow = (event) => {
    const box = drawing.getBoundingClientRect();
    show(drawing, Math.floor(((event.clientX - box.left) / box.width) * data.kept.length));
  };
  drawing.addEventListener("pointermove", follow);
  drawing.addEventListener("pointerdown", follow);
  drawing.addEventListener("pointerleave", hide);
  drawing.addEventListener("blur", hide);
  drawing.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -1, ArrowRight: 1, PageUp: -10, PageDown: 10 }[event.key];
    if (event.key === "Escape") hide();
    if (!step) return;
    event.preventDefault();
    show(drawing, current + step);
  });
}
