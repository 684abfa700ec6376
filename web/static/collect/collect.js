// Collect examples of a held expression with the camera, review and teach them. Streamlit calls `collect` again after
// each run of its script.

// In milliseconds: a shorter press of the hold button collects until the next press.
const SHORT_PRESS = 350;
const HIDDEN_TIMEOUT = 60_000;
const LOOKING = "Looking for faces ...";
const HINT = "Hold the button or the space bar while you show the expression; a short press collects until the next one.";
const NOT_SENT = "The server cannot be reached right now. Try again in a moment.";
const EMPTY = { on: false, share: 0, numbers: [], added: [], examples: [] };
const collecting = new WeakMap();

class Collecting {
  constructor(root, data, report) {
    Object.assign(this, { root, data, report, faces: [], selected: null, shades: new Map(), label: "", on: false });
    this.pictures = new Map(); // number -> data URL, in the order of collecting
    this.find = (name) => root.querySelector(name);
    this.video = this.find("video");
    this.overlay = new Overlay(this.find(".over"), this.video);
    this.frames = new Frames(this.video, (message) => this.link?.send(message) ?? false);
    this.shade = (name) => this.shades.get(name) ?? UNSURE;
    this.listen();
    const problem = unsupported();
    this.find(".word").textContent = problem || "Frames go to this server and nowhere else. They are processed in memory, then discarded.";
    this.find(".go").hidden = Boolean(problem);
  }

  listen() {
    const on = (name, event, act) => this.find(name).addEventListener(event, act);
    on(".go", "click", () => this.start());
    on(".stop", "click", () => this.end("Stopped."));
    on(".cameras", "change", (event) => this.start(event.target.value));
    on("video", "resize", () => this.shape());
    on(".over", "click", (event) => {
      const box = this.find(".over").getBoundingClientRect();
      this.selected = this.overlay.at(event.clientX - box.left, event.clientY - box.top) ?? this.selected;
    });
    const hold = this.find(".hold");
    hold.addEventListener("pointerdown", (event) => {
      if (event.button !== 0) return;
      hold.setPointerCapture(event.pointerId);
      this.press();
    });
    for (const end of ["pointerup", "pointercancel"]) hold.addEventListener(end, () => this.release());
    hold.addEventListener("contextmenu", (event) => event.preventDefault()); // a long touch opens it
    this.onkey = (event) => this.key(event);
    this.onblur = () => this.held && this.release(); // the release of a key goes to another window
    document.addEventListener("keydown", this.onkey);
    document.addEventListener("keyup", this.onkey);
    addEventListener("blur", this.onblur);
    on(".lesson", "submit", (event) => {
      event.preventDefault();
      this.teach();
    });
    on(".discard", "click", () => this.ask({ type: "discard" }));
    on(".own input", "input", () => this.choose(""));
    this.onhidden = () => {
      clearTimeout(this.hiding);
      if (document.hidden && this.link) this.hiding = setTimeout(() => this.end("Stopped, because the page was hidden for a minute."), HIDDEN_TIMEOUT);
    };
    this.ongone = () => this.link && this.end("Stopped.");
    document.addEventListener("visibilitychange", this.onhidden);
    addEventListener("pagehide", this.ongone);
  }

  key(event) { // the space bar holds, unless it belongs to something else that is focused
    const target = event.composedPath()[0], hold = this.find(".hold");
    const own = target === hold && (event.key === " " || event.key === "Enter");
    const free = event.key === " " && !target.closest?.("input, textarea, select, button, a, summary, [role], [contenteditable]");
    if (!this.link || event.ctrlKey || event.metaKey || event.altKey || !(own || free)) return;
    event.preventDefault();
    if (event.type === "keyup") this.release();
    else if (!event.repeat) this.press();
  }

  press() {
    if (this.held) return;
    this.held = { since: performance.now(), stops: this.on };
    if (!this.on) this.collect(true);
  }

  release() {
    const held = this.held;
    this.held = null;
    if (held && (held.stops || performance.now() - held.since >= SHORT_PRESS)) this.collect(false);
  }

  collect(on) {
    if (on && this.selected === null) {
      this.say("There is no face to collect. Move into view.");
      return;
    }
    this.ask({ type: "collect", track: on ? this.selected : null });
  }

  teach() {
    const label = this.find(".own input").value.trim() || this.label;
    if (!label) this.say("Choose an expression or type a new class.");
    else this.ask({ type: "lesson", label, keep: this.data.keep });
  }

  choose(label) {
    this.label = label;
    if (label) this.find(".own input").value = "";
    for (const button of this.find(".classes").children) button.setAttribute("aria-checked", button.textContent === label);
  }

  setClasses(classes) {
    this.shades = new Map(classes.map((one) => [one.name, one.shade]));
    this.find(".classes").replaceChildren(...classes.map(({ name }) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", className: "class", textContent: name });
      button.setAttribute("role", "radio");
      button.style.setProperty("--shade", this.shade(name));
      button.addEventListener("click", () => this.choose(name));
      return button;
    }));
    this.choose(this.label);
  }

  async start(camera) {
    this.close();
    if (!(await startCamera(this, camera))) return;
    this.find(".curtain").hidden = true;
    this.find(".bar").hidden = false;
    this.find(".stage").classList.add("mirrored");
    this.shape();
    this.say("Connecting to the server ...");
    this.link = new Link(this.data.path, {
      receive: (message) => this.receive(message), status: (text) => this.pause(text), fail: (text) => this.end(text),
    });
  }

  receive(message) {
    const handlers = {
      ready: () => {
        this.setClasses(message.classes);
        this.say(LOOKING);
        this.show(EMPTY); // a new connection has no examples
        this.link.ask({ type: "start" });
        this.frames.start(message.limits.frames_per_second);
      },
      result: () => this.showResult(message),
      examples: () => this.show(message),
      taught: () => {
        this.find(".own input").value = "";
        this.label = "";
        this.setClasses(message.classes);
        const n = message.faces;
        this.say(`Taught: ${n} ${n === 1 ? "example" : "examples"} of ${message.label}.`);
        this.report({ label: message.label, faces: n, at: Date.now() });
      },
      error: () => this.say(sentence(message.message)),
    };
    handlers[message.type]?.();
  }

  showResult(result) {
    this.frames.answered(result.sequence);
    this.faces = result.faces;
    if (!this.faces.some(({ id }) => id === this.selected)) this.selected = largestFace(this.faces);
    this.overlay.draw(result, { selected: this.selected, shade: this.shade, mirrored: true });
    const collected = result.collected ?? EMPTY, was = this.on;
    for (const { number, picture } of collected.added) this.pictures.set(number, picture);
    this.fill(collected);
    if (collected.on) this.say(collected.hint ? sentence(collected.hint) : "");
    else if (was && collected.numbers.length) this.say("Remove what does not fit, then teach the rest.");
    else if (this.find(".status").textContent === LOOKING) this.say(HINT);
  }

  show(message) { // all examples, as the server has them
    this.pictures = new Map(message.examples.map(({ number, picture }) => [number, picture]));
    this.fill(message);
  }

  fill({ on, share, numbers }) {
    for (const number of this.pictures.keys()) if (!numbers.includes(number)) this.pictures.delete(number);
    const count = numbers.length;
    this.on = on;
    this.find(".hold").setAttribute("aria-pressed", on);
    this.find(".hold span").textContent = on ? "Collecting" : "Hold to collect";
    this.find(".ring").style.setProperty("--share", 100 * share);
    this.find(".count").textContent = count ? `${count} ${count === 1 ? "example" : "examples"}` : "";
    const list = this.find(".examples"), there = new Map([...list.children].map((item) => [Number(item.dataset.number), item]));
    for (const [number, item] of there) if (!this.pictures.has(number)) item.remove();
    for (const [number, picture] of this.pictures) if (!there.has(number)) list.append(this.thumbnail(number, picture));
    this.find(".lesson").hidden = on || !count;
    this.find(".lesson .primary").textContent = count === 1 ? "Teach 1 example" : `Teach ${count} examples`;
  }

  thumbnail(number, picture) {
    const item = document.createElement("li"), image = document.createElement("img"), remove = document.createElement("button");
    item.dataset.number = number;
    Object.assign(image, { src: picture, alt: `example ${number}` });
    Object.assign(remove, { type: "button", textContent: "✕", title: "Remove this example" });
    remove.setAttribute("aria-label", `Remove example ${number}`);
    remove.addEventListener("click", () => this.ask({ type: "drop", number }));
    item.append(image, remove);
    return item;
  }

  pause(text) { // hides old results while no answers arrive; the server has dropped the examples
    this.overlay.clear();
    [this.faces, this.held] = [[], null];
    this.show(EMPTY);
    this.say(text);
  }

  ask(message) {
    if (!this.link?.ask(message)) this.say(NOT_SENT);
  }

  shape() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (width) this.find(".stage").style.aspectRatio = `${width} / ${height}`;
  }

  say(text) {
    this.find(".status").textContent = text;
  }

  end(text) {
    this.close();
    this.find(".curtain").hidden = false;
    this.find(".word").textContent = text;
    this.find(".go").textContent = "Start again";
    this.find(".bar").hidden = true;
    this.say("");
  }

  close() {
    [this.run, this.held] = [null, null];
    this.frames.stop();
    this.link?.close();
    this.link = null;
    closeCamera(this.video);
    this.overlay.clear();
    this.show(EMPTY);
    [this.faces, this.selected] = [[], null];
  }

  leave() {
    clearTimeout(this.hiding);
    for (const event of ["keydown", "keyup"]) document.removeEventListener(event, this.onkey);
    removeEventListener("blur", this.onblur);
    document.removeEventListener("visibilitychange", this.onhidden);
    removeEventListener("pagehide", this.ongone);
    this.close();
  }
}

function largestFace(faces) {
  const size = ({ xywh: [, , w, h] }) => w * h;
  return faces.length ? faces.reduce((one, other) => (size(other) > size(one) ? other : one)).id : null;
}

export default function collect({ parentElement, data, setTriggerValue }) {
  const report = (what) => setTriggerValue("taught", what);
  if (!collecting.has(parentElement)) collecting.set(parentElement, new Collecting(parentElement, data, report));
  Object.assign(collecting.get(parentElement), { data, report });
  return () => {
    collecting.get(parentElement)?.leave();
    collecting.delete(parentElement);
  };
}
