// Search by id, by class, or by part of the source; other faces fade, Enter selects the next match.
let found = [], next = 0;

function search() {
  const words = byId("search").value.trim().toLowerCase();
  found = words ? rowsWhere((i) => String(faces.id[i]) === words) : [];
  if (words && !found.length) {
    const named = faces.groups.map(({ name, named: labelled }) => labelled && name.toLowerCase() === words);
    found = rowsWhere((i) => named[faces.group[i]] || lowercased[i].includes(words));
  }
  next = 0;
  byId("found").textContent = !words ? "" : found.length ? `${counted(found.length, "face", "faces")} found; press Enter for the next` : "No face with this class, source or id";
  refocus();
}

function refocus() { // emphasize search results, or else the list
  const rows = found.length ? found : listed;
  focus = rows.length ? new Uint8Array(n) : null;
  for (const i of rows) focus[i] = 1;
  redraw();
}

function selectNext(step) {
  if (!found.length) return;
  jump(found[next]);
  byId("found").textContent = `${(next + 1).toLocaleString("en")} of ${counted(found.length, "face", "faces")} found`;
  next = (next + step + found.length) % found.length;
}

function startSearch() {
  byId("search").addEventListener("input", search);
  byId("search").addEventListener("keydown", (event) => {
    if (event.key === "Enter") selectNext(event.shiftKey ? -1 : 1);
    if (event.key !== "Escape") return;
    byId("search").value = "";
    search();
    dots.focus();
  });
}
