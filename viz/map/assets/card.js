// What is known of the face under the pointer, or of the one that was clicked: then it stays, and can be walked from.
const card = byId("card");
let told = -1; // the row that the card is about

function hover(i) {
  if (i === hovered) return;
  hovered = i;
  show();
}

function pin(i) {
  pinned = i;
  show();
}

function show() {
  const row = pinned >= 0 ? pinned : hovered;
  if (row !== told) fill(row);
  told = row;
  card.classList.toggle("kept", pinned >= 0);
  drawMarks();
  placeCard();
}

function fill(i) {
  card.hidden = i < 0;
  if (i < 0) return;
  const close = element("button", "close", "✕");
  close.setAttribute("aria-label", "Let go of this face");
  close.addEventListener("click", () => pin(-1));
  card.replaceChildren(close, head(i), ...alike(i), facts(i));
}

function head(i) {
  const words = element("div"), top = element("div", "head"), picture = thumbnail(i);
  words.append(heading(i), ...prediction(i));
  if (picture) top.append(picture);
  top.append(words);
  return top;
}

function heading(i) {
  const made = element("strong");
  made.append(mark(faces.group[i]));
  return made;
}

function prediction(i) {
  if (faces.predicted[i] < 0) return [];
  const line = element("p"), verdict = verdictOf(i), sure = confidenceOf(i);
  line.append("predicted ", mark(faces.predicted[i]));
  const said = [Number.isNaN(sure) ? "" : `${Math.floor(100 * sure)}% sure`, verdict].filter(Boolean);
  return [line, element("p", verdict === "wrong" ? "alert small" : "faint small", said.join(", "))];
}

function alike(i) {
  const rows = neighborsOf(i);
  if (!rows.length) return [];
  const list = element("ol", "alike");
  for (const row of rows) {
    const item = element("li"), go = element("button"), picture = thumbnail(row);
    if (picture) go.append(picture);
    go.append(mark(faces.group[row]));
    go.title = faces.source[row];
    go.addEventListener("click", () => jump(row));
    item.append(go);
    list.append(item);
  }
  list.classList.toggle("pictured", rows.some((row) => faces.picture[row] >= 0));
  return [element("h3", "", "Most alike"), list];
}

function facts(i) {
  const list = element("dl"), split = faces.splits[faces.split[i]], origin = originOf(i);
  const known = { source: faces.source[i], id: String(faces.id[i]), split, from: origin === "gallery" ? "" : (ORIGINS[origin] ?? origin) };
  for (const [name, value] of Object.entries(known)) if (value) list.append(element("dt", "", name), element("dd", "", value));
  return list;
}

function placeCard() {
  if (told < 0) return;
  if (isNarrow()) {
    card.style.transform = ""; // at the foot of a narrow page
    return;
  }
  const [x, y] = position(told), { width: w, height: h } = card.getBoundingClientRect(), edge = 8, away = 20;
  const around = [x, ...neighborsOf(told).map((row) => position(row)[0])].filter((at) => Math.abs(at - x) < 260);
  const right = Math.max(...around) + away, before = Math.min(...around) - away - w; // beside those most like it, too
  const wanted = right + w < innerWidth - 290 ? right : before > edge ? before : x + away + w < innerWidth ? x + away : x - away - w;
  const down = Math.max(edge, Math.min(innerHeight - h - edge, y - h / 2));
  card.style.transform = `translate(${Math.max(edge, wanted)}px, ${down}px)`;
}

function jump(i) { // to a face wherever it is
  if (!shown[i]) apply(everything());
  hover(-1);
  pin(i);
  reveal(i);
}

function reveal(i) { // moves the map when the face would lie outside, or below panel, list or card
  const narrow = isNarrow(), edge = 50, [x, y] = position(i);
  const west = !narrow && !byId("list").hidden ? 330 : edge, east = innerWidth - (narrow ? edge : 330);
  const north = narrow ? 110 : edge, south = narrow ? card.getBoundingClientRect().top - edge / 2 : innerHeight - edge;
  const dx = x < west || x > east ? (west + east) / 2 - x : 0;
  const dy = y < north || (y > south && !narrow) ? (north + south) / 2 - y : Math.min(0, south - y); // no further than it has to be
  if (dx || dy) pan(dx, dy);
}
