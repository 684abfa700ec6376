// Beside the picture: the expression of the selected face, the evidence, its position on the map, and teaching.

function element(tag, text, name) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (name) made.className = name;
  return made;
}

// Maximum number of listed classes; of more, the most probable are listed.
const LISTED = 12, PER_CENT = (share) => `${Math.round(100 * share)} %`;

class Panel {
  // Calls choose(id) when a face is selected, and teach(label), undo() and zero() when the visitor asks for them.
  constructor(root, { choose, teach, undo, zero }) {
    this.find = (name) => root.querySelector(name);
    Object.assign(this, { choose, teach, classes: [], names: "", pictures: new Map() });
    const own = this.find(".own input");
    this.find(".teach").addEventListener("submit", (event) => {
      event.preventDefault();
      if (own.value.trim()) this.teach(own.value);
      own.value = "";
    });
    this.find(".undo").addEventListener("click", undo);
    this.find(".zero").addEventListener("click", zero);
  }

  setClasses(classes, shade) { // one button per class
    const names = classes.map(({ name }) => name).join("\n");
    if (names === this.names) return;
    this.names = names;
    this.find(".classes").replaceChildren(...classes.map(({ name }) => {
      const button = element("button", name, "class");
      button.type = "button";
      button.style.setProperty("--shade", shade(name));
      button.addEventListener("click", () => this.teach(name));
      return button;
    }));
  }

  show(faces, selected, shade) {
    this.showFaces(faces, selected, shade);
    const face = faces.find(({ id }) => id === selected);
    this.find(".shown").textContent = !face ? "No face in view"
      : face.expression === null ? (face.quality?.reason ? `Unsure: ${face.quality.reason}` : "Unsure") : `${face.expression}, ${PER_CENT(face.confidence)}`;
    this.showBars(face, shade);
    const button = this.find(".zero");
    const words = face?.measuring != null ? "Stop measuring" : face?.baseline ? "Clear the baseline" : "Set the resting face as baseline";
    if (button.textContent !== words) button.textContent = words;
    button.disabled = !face;
    const evidence = (face?.evidence ?? []).map(({ label, similarity, source, taught, picture }) => {
      const row = element("li");
      if (picture) row.append(this.picture(picture));
      const name = row.appendChild(element("b", (label ?? "no label") + (taught ? " (taught)" : "")));
      name.style.setProperty("--shade", label === null ? UNSURE : shade(label));
      row.append(element("span", similarity.toFixed(3)));
      row.title = source;
      return row;
    });
    this.find(".evidence").replaceChildren(...evidence);
    this.find(".reason").textContent = face?.reason ?? "";
  }

  picture(address) { // one element per face, because a new one would flicker in every frame
    if (this.pictures.size > 200) this.pictures.clear();
    if (!this.pictures.has(address)) this.pictures.set(address, Object.assign(element("img"), { src: address, alt: "" }));
    return this.pictures.get(address);
  }

  showFaces(faces, selected, shade) {
    const box = this.find(".faces");
    box.hidden = faces.length < 2;
    while (box.children.length > faces.length) box.lastChild.remove();
    while (box.children.length < faces.length) {
      const button = box.appendChild(element("button", "", "face"));
      button.type = "button";
      button.setAttribute("role", "radio");
      button.addEventListener("click", () => this.choose(Number(button.dataset.id)));
    }
    faces.forEach((face, at) => { // reuses the buttons, so that they keep the focus
      const button = box.children[at];
      button.dataset.id = face.id;
      button.textContent = `Face ${face.id}`;
      button.style.setProperty("--shade", face.expression === null ? UNSURE : shade(face.expression));
      button.setAttribute("aria-checked", face.id === selected);
    });
  }

  showBars(face, shade) { // in the order of the classes, so that each bar keeps its position
    const shares = Object.entries(face?.smoothed ?? {}), ranked = shares.map(([, share]) => share).sort((a, b) => b - a);
    const likely = shares.filter(([, share]) => share >= (ranked[LISTED - 1] ?? 0)).slice(0, LISTED);
    const list = this.find(".bars");
    while (list.children.length > likely.length) list.lastChild.remove();
    while (list.children.length < likely.length) {
      list.append(element("li"));
      list.lastChild.append(element("span"), element("i"), element("b"));
    }
    likely.forEach(([name, share], at) => {
      const row = list.children[at], [label, , number] = row.children;
      label.textContent = name;
      number.textContent = PER_CENT(share);
      row.style.setProperty("--shade", shade(name));
      row.style.setProperty("--share", share);
      row.classList.toggle("best", share === ranked[0]);
    });
  }
}
