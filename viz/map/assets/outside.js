// Tell the page around the map which faces are listed. A map that was opened by itself has nobody to tell.
const MOST_TOLD = 2000;

function tellSelection(rows) {
  if (parent === window) return;
  parent.postMessage({ moodspace: "selected", ids: rows.slice(0, MOST_TOLD).map((i) => String(faces.id[i])) }, location.origin);
}
