// Faces selected with the lasso, or all shown faces, as a list and as CSV.
const ROWS = 200; // maximum in the list; the CSV has all
let listed = []; // rows

function inside(polygon) { // rows of the shown faces inside, by the even-odd rule
  const [xs, ys] = [0, 1].map((axis) => polygon.map((at) => at[axis]));
  const [west, east, north, south] = [Math.min(...xs), Math.max(...xs), Math.min(...ys), Math.max(...ys)];
  return rowsWhere((i) => {
    const [x, y] = position(i);
    if (!shown[i] || x < west || x > east || y < north || y > south) return false;
    let odd = false;
    for (let a = 0, b = polygon.length - 1; a < polygon.length; b = a++) {
      const crosses = ys[a] > y !== ys[b] > y && x < ((xs[b] - xs[a]) * (y - ys[a])) / (ys[b] - ys[a]) + xs[a];
      if (crosses) odd = !odd;
    }
    return odd;
  });
}

function list(rows) {
  listed = rows;
  tellSelection(rows);
  byId("list").hidden = !rows.length;
  refocus();
  if (!rows.length) return;
  byId("picked").textContent = counted(rows.length, "face", "faces");
  byId("rows").replaceChildren(...rows.slice(0, ROWS).map(entry));
  byId("more").textContent = rows.length > ROWS ? `and ${(rows.length - ROWS).toLocaleString("en")} more in the CSV` : "";
  const compared = rows.filter(verdictOf), right = compared.filter((i) => verdictOf(i) === "right").length;
  byId("right").textContent = compared.length ? `${right.toLocaleString("en")} of ${compared.length.toLocaleString("en")} predictions right` : "";
  byId("shares").replaceChildren(...faces.groups.map((group, g) => {
    const part = tint(element("i"), g), own = rows.filter((i) => faces.group[i] === g).length;
    part.style.setProperty("--share", `${(100 * own) / rows.length}%`);
    part.title = `${group.name} ${own.toLocaleString("en")}`;
    return part;
  }));
}

function entry(i) {
  const item = element("li"), go = element("button"), words = element("span"), picture = thumbnail(i);
  if (picture) go.append(picture);
  const first = element("span", "labels");
  first.append(mark(faces.group[i]));
  if (verdictOf(i) === "wrong" || (!isLabelled(i) && faces.predicted[i] >= 0)) first.append(" → ", mark(faces.predicted[i]));
  words.append(first, element("small", "faint", faces.source[i]));
  go.append(words);
  go.addEventListener("click", () => jump(i));
  go.addEventListener("pointerenter", () => hover(i));
  go.addEventListener("pointerleave", () => hover(-1));
  item.append(go);
  return item;
}

function table() { // RFC 4180; a quote escapes what a spreadsheet would read as a formula
  const cell = (value) => {
    const words = /^[=+\-@\t\r]/.test(value) ? `'${value}` : String(value);
    return /[",\r\n]/.test(words) ? `"${words.replaceAll('"', '""')}"` : words;
  };
  const lines = listed.map((i) => [
    faces.id[i], faces.source[i], isLabelled(i) ? faces.groups[faces.group[i]].name : "", faces.groups[faces.predicted[i]]?.name ?? "",
    Number.isNaN(confidenceOf(i)) ? "" : confidenceOf(i), faces.splits[faces.split[i]], originOf(i),
  ]);
  return [["id", "source", "label", "predicted", "confidence", "split", "origin"], ...lines].map((cells) => `${cells.map(cell).join(",")}\r\n`).join("");
}

function save() {
  const link = element("a");
  link.href = URL.createObjectURL(new Blob([table()], { type: "text/csv" }));
  link.download = "faces.csv";
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

async function copy() {
  const before = byId("copy").textContent;
  try {
    await navigator.clipboard.writeText(table());
    byId("copy").textContent = "Copied";
  } catch {
    byId("copy").textContent = "Copying not allowed";
  }
  setTimeout(() => { byId("copy").textContent = before; }, 2000);
}

function startList() {
  byId("drop").addEventListener("click", () => list([]));
  byId("save").addEventListener("click", save);
  byId("copy").addEventListener("click", copy);
  byId("take").addEventListener("click", () => list(rowsWhere((i) => shown[i])));
}
