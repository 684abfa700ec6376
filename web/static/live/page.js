// A live session from start to end. Streamlit calls `live` again after each run of its script.

// In milliseconds: how long a hidden page keeps its session, the window of the frame rate, and how long a description
// must be unchanged before it is announced.
const HIDDEN_TIMEOUT = 60_000, RATE_WINDOW = 2000, ANNOUNCE_AFTER = 1200;
const LOOKING = "Looking for faces ...";
const UNREACHABLE = "The server cannot be reached right now. Try again in a moment.";
// The session that is shown, or that goes on while another page is shown; one for all runs of this script.
const shared = (globalThis.moodspaceLive ??= { session: null });

class Session {
  constructor(section, data) {
    Object.assign(this, { section, data, dock: null, faces: [], selected: null, shades: new Map(), zeros: new Map() });
    this.answers = [];
    const video = section.querySelector("video");
    this.find = (name) => (name === "video" ? video : section.querySelector(name));
    this.video = this.find("video");
    this.overlay = new Overlay(this.find(".over"), this.video);
    this.map = new MiniMap(this.find(".map"), data.points);
    this.beside = new Beside();
    this.find(".beside").hidden = !data.points;
    this.frames = new Frames(this.video, (message) => this.link?.send(message) ?? false);
    this.panel = new Panel(this.find(".panel"), {
      choose: (id) => { this.selected = id; },
      teach: (label) => this.teach(label),
      undo: () => this.ask({ type: "undo" }),
      zero: () => this.zero(),
    });
    this.recorder = new Recorder(this.find, {
      ask: (on, least) => this.ask({ type: "record", on, min_group: least }),
      say: (text) => this.say(text),
      changed: (on) => this.marker?.enable(on),
    });
    this.marker = new Marker(this.find, { ask: (message) => this.ask(message) });
    this.recent = new Recent(this.find(".recent"));
    this.shade = (name) => this.shades.get(name) ?? UNSURE;
    this.listen();
    const problem = unsupported();
    this.find(".word").textContent = problem
      || "Pictures go to this server and nowhere else. They are processed in memory, then discarded.";
    this.find(".go").hidden = Boolean(problem);
  }

  listen() {
    const on = (name, event, act) => this.find(name).addEventListener(event, act);
    on(".go", "click", () => this.start());
    on(".stop", "click", () => this.end("Stopped."));
    on(".beside", "click", () => open(this.data.map, "moodspace-map", "popup,width=900,height=800"));
    on(".mirror", "change", () => this.mirror());
    on(".cameras", "change", (event) => this.start(event.target.value));
    on("video", "resize", () => this.shape());
    on(".over", "click", (event) => {
      const box = this.find(".over").getBoundingClientRect();
      this.selected = this.overlay.at(event.clientX - box.left, event.clientY - box.top) ?? this.selected;
    });
    on(".over", "keydown", (event) => this.step(event));
    this.section.addEventListener("keydown", (event) => {
      if (event.key !== "x" || event.ctrlKey || event.metaKey || event.altKey || event.target.matches("input, select")) return;
      event.preventDefault();
      this.marker.open();
    });
    this.onhidden = () => {
      clearTimeout(this.hiding);
      if (document.hidden && this.link) {
        this.hiding = setTimeout(() => this.end("Stopped, because the page was hidden for a minute."), HIDDEN_TIMEOUT);
      }
    };
    this.ongone = () => this.link && this.end("Stopped.");
    document.addEventListener("visibilitychange", this.onhidden);
    addEventListener("pagehide", this.ongone);
  }

  get focused() {
    return this.section.getRootNode().activeElement;
  }

  async start(camera) {
    this.close();
    const keyboard = this.focused === this.find(".go");
    if (!(await startCamera(this, camera))) return;
    this.find(".curtain").hidden = true;
    this.find(".bar").hidden = this.find(".recent").hidden = this.find(".panel").hidden = false;
    if (keyboard) this.find(".stop").focus({ preventScroll: true });
    this.shape();
    this.mirror();
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
        this.link.ask({ type: "start" });
        this.frames.start(message.limits.frames_per_second);
      },
      result: () => this.showResult(message),
      taught: () => {
        this.setClasses(message.classes);
        this.say(`Taught: ${message.label}. Your gallery has ${message.count} ${message.count === 1 ? "face" : "faces"}.`);
      },
      undone: () => {
        this.setClasses(message.classes);
        const what = Object.entries(message.labels).map(([name, n]) => `${n} ${name}`).join(", ");
        this.say(what ? `Undone: ${what}.` : "Nothing to undo.");
      },
      recording: () => this.recorder.receive(message),
      marked: () => {
        this.say(`Marked ${message.name} at ${minutes(message.time)} of the recording.`);
        this.recent.mark(message.name, this.marker.pressed);
      },
      error: () => this.say(sentence(message.message)),
    };
    handlers[message.type]?.();
  }

  showResult(result) {
    const now = performance.now();
    this.frames.answered(result.sequence);
    this.faces = result.faces;
    if (!this.faces.some(({ id }) => id === this.selected)) this.selected = largest(this.faces);
    const { selected, shade } = this, style = getComputedStyle(this.section);
    const [ink, paper] = ["--ink", "--paper"].map((name) => style.getPropertyValue(name).trim());
    this.recent.add(this.faces, now);
    this.recorder.update(result, now);
    if (this.dock) return this.sign();
    this.overlay.draw(result, { selected, shade, mirrored: this.find(".mirror").checked });
    this.panel.show(this.faces, selected, shade);
    this.map.draw(this.faces, { selected, shade, ink, paper });
    this.beside.tell(this.faces, shade);
    this.answers = [...this.answers.filter(([at]) => now - at < RATE_WINDOW), [now, now - result.sent]];
    if (now - (this.paced ?? 0) > 500) {
      this.showPace(now);
      this.recent.draw([...this.shades.keys()], { shade, ink, paper });
    }
    if (this.find(".status").textContent === LOOKING) this.say("");
    this.sayNotes();
    this.announce(now);
  }

  announce(now) { // for screen readers; waits until the description is stable
    const words = describe(this.faces, this.selected);
    if (words !== this.sight) [this.sight, this.steady] = [words, now];
    else if (now - this.steady > ANNOUNCE_AFTER && this.find(".sight").textContent !== words) {
      this.find(".sight").textContent = words;
    }
  }

  pause(text) { // hides old results while no answers arrive
    this.overlay.clear();
    this.panel.show([], null, this.shade);
    [this.faces, this.answers] = [[], []];
    this.find(".pace").textContent = "";
    this.say(text);
  }

  showPace(now) {
    this.paced = now;
    const trips = this.answers.map(([, trip]) => trip).sort((one, other) => one - other);
    const rate = Math.round((1000 * this.answers.length) / RATE_WINDOW);
    this.find(".pace").textContent = `${rate} fps, ${Math.round(trips[trips.length >> 1])} ms`;
  }

  setClasses(classes) {
    this.shades = new Map(classes.map((one) => [one.name, one.shade]));
    this.panel.setClasses(classes, this.shade);
  }

  teach(label) {
    if (this.selected === null) this.say("There is no face to teach. Move into view.");
    else this.ask({ type: "teach", track: this.selected, label });
  }

  zero() { // measures the selected face at rest, or clears its baseline
    const face = this.faces.find(({ id }) => id === this.selected);
    if (!face) return;
    this.ask({ type: "baseline", track: face.id });
    this.say(face.measuring !== null ? "Stopped measuring." : face.baseline ? "The baseline is cleared."
      : "Look relaxed for three seconds and hold still.");
  }

  sayNotes() { // why a face made no baseline, and that one is in use, once each
    for (const { id, baseline, baseline_note: note } of this.faces) {
      const before = this.zeros.get(id) ?? {};
      if (note && note !== before.note) this.say(sentence(`face ${id}: ${note}`));
      else if (baseline && !before.baseline) this.say(`Face ${id} is compared with its resting face now.`);
    }
    this.zeros = new Map(this.faces.map(({ id, baseline, baseline_note: note }) => [id, { baseline, note }]));
  }

  ask(message) {
    if (!this.link?.ask(message)) this.say(UNREACHABLE);
  }

  shape() {
    const { videoWidth: width, videoHeight: height } = this.video;
    if (width) this.find(".stage").style.aspectRatio = `${width} / ${height}`;
  }

  mirror() {
    this.find(".stage").classList.toggle("mirrored", this.find(".mirror").checked);
  }

  step(event) { // selects the next or previous face with the arrow keys
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by || !this.faces.length) return;
    event.preventDefault();
    const at = this.faces.findIndex(({ id }) => id === this.selected);
    this.selected = this.faces[(at + by + this.faces.length) % this.faces.length].id;
  }

  say(text) {
    this.find(".status").textContent = text;
  }

  end(text) {
    const hadFocus = this.focused?.closest(".bar, .panel");
    const kept = this.recorder.least === null ? "" : " The recording is on the Session page; start again to continue it.";
    this.close();
    this.find(".curtain").hidden = false;
    this.find(".word").textContent = text + kept;
    this.find(".go").textContent = "Start again";
    this.find(".bar").hidden = this.find(".recent").hidden = this.find(".panel").hidden = true;
    if (hadFocus) this.find(".go").focus({ preventScroll: true });
    this.find(".sight").textContent = "";
    this.say("");
    if (this.dock) this.leave(); // the Live page begins anew
  }

  close() {
    this.run = null;
    this.frames.stop();
    this.link?.close();
    this.link = null;
    closeCamera(this.video);
    this.overlay.clear();
    this.recorder.show(null);
    this.recent.clear();
    this.find(".pace").textContent = "";
    [this.faces, this.selected, this.answers] = [[], null, []];
  }

  // The visitor goes to another page of the app: a running session goes on, with a sign.
  away() {
    if (!this.link || this.dock) return this.leave();
    this.dock = new Dock(this.section, this.video, () => this.end("Stopped."));
    this.sign();
  }

  sign() {
    this.dock.say(this.recorder.least === null ? "Live session running" : this.find(".recording").textContent);
  }

  back() { // returns the section, to be shown again
    const section = this.dock.release();
    this.dock = null;
    return section;
  }

  resume() {
    this.video.play().catch(() => {});
    this.shape();
  }

  leave() {
    if (shared.session === this) shared.session = null;
    this.dock?.release();
    this.dock = null;
    clearTimeout(this.hiding);
    document.removeEventListener("visibilitychange", this.onhidden);
    removeEventListener("pagehide", this.ongone);
    this.close();
    this.beside.close();
  }
}

function describe(faces, selected) {
  if (!faces.length) return "No face in view.";
  const { expression } = faces.find(({ id }) => id === selected) ?? faces[0];
  const count = faces.length === 1 ? "One face in view; it" : `${faces.length} faces in view; the selected one`;
  return `${count} ${expression === null ? "is unsure" : `shows ${expression}`}.`;
}

function largest(faces) {
  const size = ({ xywh: [, , w, h] }) => w * h;
  return faces.length ? faces.reduce((one, other) => (size(other) > size(one) ? other : one)).id : null;
}

function minutes(seconds) {
  return `${Math.floor(seconds / 60)}:${String(Math.floor(seconds % 60)).padStart(2, "0")}`;
}

export default function live({ parentElement, data }) {
  const section = parentElement.querySelector(".live");
  if (shared.session?.dock) { // it went on meanwhile
    section.replaceWith(shared.session.back());
    shared.session.resume();
  } else if (shared.session?.section !== section) shared.session = new Session(section, data);
  const { session } = shared;
  return () => session.away();
}
