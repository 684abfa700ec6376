// The faces before a camera, on a map that the web app serves: a Live page of the same browser tells where they are.
const MAPS = "moodspace-live"; // as in web/static/live/beside.js
const TRAIL = 24, GONE_AFTER = 2000; // the number of earlier places drawn; milliseconds until a silent page's faces go
let live = [], silence; // {id, place: [x, y] in [0, 1] of the map's longer side, y upwards, expression, shade, trail}

function startLive() {
  if (!faces.live || typeof BroadcastChannel === "undefined") return;
  new BroadcastChannel(MAPS).addEventListener("message", ({ data }) => {
    clearTimeout(silence);
    silence = setTimeout(() => showLive([]), GONE_AFTER);
    showLive(data);
  });
}

function showLive(told) {
  live = told.map((face) => {
    const before = live.find(({ id }) => id === face.id);
    return { ...face, trail: before ? [...before.trail, before.place].slice(-TRAIL) : [] };
  });
  const whose = live.length ? `${counted(live.length, "face", "faces")} before the camera` : "";
  if (byId("live").textContent !== whose) byId("live").textContent = whose;
  drawMarks();
}

function drawLive() {
  const at = ([x, y]) => [(left + x * STEPS * scale) / ratio, (top_ - y * STEPS * scale) / ratio];
  for (const { id, place, expression, shade, trail } of live) {
    [...trail, place].map(at).forEach((to, step, all) => {
      marker.globalAlpha = (step + 1) / all.length;
      if (step) line(all[step - 1], to, shade, 2.5);
    });
    marker.globalAlpha = 1;
    const [x, y] = at(place), words = `Face ${id}: ${expression ?? "unsure"}`;
    disc([x, y], 9, shade);
    ring([x, y], 11, 3);
    marker.font = TYPE;
    const before = x + 18 + marker.measureText(words).width > innerWidth - (isNarrow() ? 0 : 290); // no room beside it
    [marker.textAlign, marker.textBaseline, marker.lineJoin] = [before ? "right" : "left", "middle", "round"];
    [marker.strokeStyle, marker.fillStyle, marker.lineWidth] = [paper, ink, 5];
    marker.strokeText(words, before ? x - 18 : x + 18, y);
    marker.fillText(words, before ? x - 18 : x + 18, y);
  }
}
