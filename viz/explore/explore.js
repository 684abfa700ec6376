"use strict";

// Enlarge the face under the pointer, with its description.
const loupe = document.createElement("div");
loupe.id = "loupe";
loupe.className = "card";
loupe.hidden = true;
document.body.append(loupe);

function look(face) {
  const words = document.createElement("p");
  words.textContent = face.getAttribute("aria-label");
  loupe.replaceChildren(face.cloneNode(), words);
  loupe.hidden = false;
  const from = face.getBoundingClientRect(), own = loupe.getBoundingClientRect(), edge = 8;
  const left = Math.min(Math.max(edge, from.left + from.width / 2 - own.width / 2), innerWidth - own.width - edge);
  const above = from.top - own.height - edge;
  loupe.style.transform = `translate(${left}px, ${above > edge ? above : from.bottom + edge}px)`;
}

for (const happening of ["pointerover", "pointerdown"]) {
  document.addEventListener(happening, (event) => {
    const face = event.target.closest(".face");
    if (face) look(face);
    else loupe.hidden = true;
  });
}
addEventListener("scroll", () => { loupe.hidden = true; }, { passive: true });

// The buttons above the likely label errors show the faces of one label.
const chips = [...document.querySelectorAll(".chips button")];
for (const chip of chips) {
  chip.addEventListener("click", () => {
    for (const other of chips) other.setAttribute("aria-pressed", String(other === chip));
    for (const card of document.querySelectorAll(".doubt")) {
      card.hidden = chip.dataset.label !== "" && card.dataset.label !== chip.dataset.label;
    }
  });
}
