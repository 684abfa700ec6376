// The card of the face under the pointer, or of the selected face; it links to the most similar faces.
const card = byId("card");
let cardRow = -1; // row of the card's face

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
  if (row !== cardRow) fill(row);
  cardRow = row;
  card.classList.toggle("kept", pinned >= 0);
  drawMarks();
  placeCard();
}

function fill(i) {
  card.hidden = i < 0;
  if (i < 0) return;
  const close = element("button", "close", "✕");
  close.setAttribute("aria-label", "Deselect this face");
  close.addEventListener("click", () => pin(-1));
  card.replaceChildren(close, head(i), ...neighborList(i), details(i));
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
  const said = [Number.isNaN(sure) ? "" : `${Math.floor(100 * sure)}% confident`, verdict].filter(Boolean);
  return [line, element("p", verdict === "wrong" ? "alert small" : "faint small", said.join(", "))];
}

function neighborList(i) {
  const rows = neighborsOf(i);
  if (!rows.length) return [];
  const list = element("ol", "neighbors");
  for (const row of rows) {
    const item = element("li"), go = element("button"), picture = thumbnail(row);
    if (picture) go.append(picture);
    go.append(mark(faces.group[row]));
    go.title = faces.source[row];
    go.addEventListener("click", () => jump(row));
    item.append(go);
    list.append(item);
  }
  list.classList.toggle("pictured", rows.some((row) => faces.picture[row] >= 0 || faces.served?.[row]));
  return [element("h3", "", "Most similar"), list];
}

function details(i) {
  const list = element("dl"), split = faces.splits[faces.split[i]], origin = originOf(i);
  const known = { source: faces.source[i], id: String(faces.id[i]), split, origin: origin === "gallery" ? "" : (ORIGINS[origin] ?? origin) };
  for (const [name, value] of Object.entries(known)) if (value) list.append(element("dt", "", name), element("dd", "", value));
  return list;
}

function placeCard() {
  if (cardRow < 0) return;
  if (isNarrow()) {
    card.style.transform = ""; // at the bottom of a narrow page
    return;
  }
  const [x, y] = position(cardRow), { width: w, height: h } = card.getBoundingClientRect(), edge = 8, away = 20;
  const around = [x, ...neighborsOf(cardRow).map((row) => position(row)[0])].filter((at) => Math.abs(at - x) < 260);
  const right = Math.max(...around) + away, before = Math.min(...around) - away - w; // beside its neighbors, too
  const wanted = right + w < innerWidth - 290 ? right : before > edge ? before : x + away + w < innerWidth ? x + away : x - away - w;
  const down = Math.max(edge, Math.min(innerHeight - h - edge, y - h / 2));
  card.style.transform = `translate(${Math.max(edge, wanted)}px, ${down}px)`;
}

function jump(i) { // select a face anywhere on the map
  if (!shown[i]) apply(everything());
  hover(-1);
  pin(i);
  reveal(i);
}

function reveal(i) { // pan if the face is outside the window, or covered by panel, list or card
  const narrow = isNarrow(), edge = 50, [x, y] = position(i);
  const west = !narrow && !byId("list").hidden ? 330 : edge, east = innerWidth - (narrow ? edge : 330);
  const north = narrow ? 110 : edge, south = narrow ? card.getBoundingClientRect().top - edge / 2 : innerHeight - edge;
  const dx = x < west || x > east ? (west + east) / 2 - x : 0;
  const dy = y < north || (y > south && !narrow) ? (north + south) / 2 - y : Math.min(0, south - y); // as little as necessary
  if (dx || dy) pan(dx, dy);
}
