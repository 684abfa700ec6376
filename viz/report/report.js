// The report: its data, and the video or other recording beside it.

const data = JSON.parse(document.getElementById("data").textContent);
const beside = document.querySelector("#beside video, #beside audio");
const embedded = document.getElementById("media");
if (embedded) { // bytes in base64; a blob can be sought, and is in memory once
  const bytes = Uint8Array.from(atob(embedded.textContent.trim()), (character) => character.charCodeAt(0));
  beside.src = URL.createObjectURL(new Blob([bytes], { type: embedded.dataset.type }));
  embedded.remove();
}
window.report = new Scrubber(document, data, beside && new Media(beside, data.pieces.map(([from, start, length]) =>
  [from, start, length ?? Infinity])));
