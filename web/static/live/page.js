// A live session from its start button to its end. Streamlit calls `live` again whenever its script has run.

const HIDDEN_TOO_LONG = 60_000, RATE_OVER = 2000; // milliseconds
const sessions = new WeakMap();

class Session {
  constructor(root, data) {
    Object.assign(this, { root, data, faces: [], selected: null, shades: new Map(), answers: [], recording: false });
    this.find = (name) => root.querySelector(name);
    this.video = this.find("video");
    this.overlay = new Overlay(this.find(".over"), this.video);
    this.map = new MiniMap(this.find(".map"), data.points);
    this.frames = new Frames(this.video, (message) => this.link?.send(message) ?? false);
    this.panel = new Panel(this.find(".panel"), {
      choose: (id) => { this.selected = id; },
      teach: (label) => this.teach(label),
      undo: () => this.link?.ask({ type: "undo" }),
    });
    this.shade = (name) => this.shades.get(name)?.[this.dark ? "dark" : "light"] ?? UNSURE;
    this.listen();
    const missing = lacking();
    this.find(".word").textContent = missing
      || "The picture goes to this server and nowhere else; it is looked at and forgotten.";
    this.find(".go").hidden = Boolean(missing);
  }

  listen() {
    const on = (name, event, act) => this.find(name).addEventListener(event, act);
    on(".go", "click", () => this.start());
    on(".stop", "click", () => this.end("Stopped."));
    on(".mirror", "change", () => this.mirror());
    on(".cameras", "change", (event) => this.start(event.target.value));
    on(".record", "click", () => this.record(!this.recording));
    on(".over", "click", (event) => {
      const box = this.find(".over").getBoundingClientRect();
      this.selected = this.overlay.at(event.clientX - box.left, event.clientY - box.top) ?? this.selected;
    });
    on(".over", "keydown", (event) => this.step(event));
    this.onhidden = () => {
      clearTimeout(this.hiding);
      if (document.hidden && this.link) {
        this.hiding = setTimeout(() => this.end("Stopped, because the page was out of sight for a minute."), HIDDEN_TOO_LONG);
      }
    };
    document.addEventListener("visibilitychange", this.onhidden);
  }

  async start(camera) {
    this.close();
    this.say("Opening the camera ...");
    this.find(".go").disabled = true;
    const turn = this.turn = Symbol("start"); // one that was overtaken, or left, gives its camera back
    try {
      const stream = await openCamera(this.video, camera);
      if (turn !== this.turn) return closeCamera(this.video);
      stream.getVideoTracks()[0].addEventListener("ended", () => this.end("The camera was unplugged or taken away."));
      await listCameras(this.find(".cameras"), stream);
    } catch (error) {
      return this.end(error.message);
    } finally {
      this.find(".go").disabled = false;
    }
    this.find(".stage").style.aspectRatio = `${this.video.videoWidth} / ${this.video.videoHeight}`;
    this.find(".curtain").hidden = true;
    this.find(".bar").hidden = this.find(".panel").hidden = false;
    this.mirror();
    this.say("Looking for faces ...");
    this.link = new Link(this.data.path, {
      hear: (message) => this.hear(message), tell: (words) => this.say(words), lost: (words) => this.end(words),
    });
  }

  hear(message) {
    const heard = {
      ready: () => {
        this.learn(message.classes);
        this.link.ask({ type: "start" });
        if (this.recording) this.record(true);
        this.frames.start();
      },
      result: () => this.see(message),
      taught: () => {
        this.learn(message.classes);
        this.say(`Taught: ${message.label}. Your gallery has ${message.count} ${message.count === 1 ? "face" : "faces"}.`);
      },
      undone: () => {
        this.learn(message.classes);
        const what = Object.entries(message.labels).map(([name, n]) => `${n} ${name}`).join(", ");
        this.say(what ? `Undone: ${what}.` : "Nothing to undo.");
      },
      recording: () => this.showRecording(message.on, message.min_group),
      error: () => this.say(message.message),
    };
    heard[message.type]?.();
  }

  see(result) {
    const now = performance.now(), before = this.faces.length;
    this.frames.answered(result.sequence);
    this.faces = result.faces;
    if (!this.faces.some(({ id }) => id === this.selected)) this.selected = largest(this.faces);
    const { selected, shade } = this, style = getComputedStyle(this.find(".live"));
    const [ink, paper] = ["--ink", "--paper"].map((name) => style.getPropertyValue(name).trim());
    this.dark = isDark(style.backgroundColor);
    this.overlay.draw(result, { selected, shade, mirrored: this.find(".mirror").checked });
    this.panel.show(this.faces, selected, shade);
    this.map.draw(this.faces, { selected, shade, ink, paper, theme: this.dark });
    this.answers = [...this.answers.filter(([at]) => now - at < RATE_OVER), [now, now - result.sent]];
    if (now - (this.paced ?? 0) > 500) this.showPace(now);
    if (before !== this.faces.length || !this.seen) {
      this.say(this.faces.length ? `${this.faces.length} ${this.faces.length === 1 ? "face" : "faces"} in sight.` : "No face in sight.");
    }
    this.seen = true;
  }

  showPace(now) {
    this.paced = now;
    const trips = this.answers.map(([, trip]) => trip).sort((one, other) => one - other);
    const rate = Math.round((1000 * this.answers.length) / RATE_OVER);
    this.find(".pace").textContent = `${rate} a second, ${Math.round(trips[trips.length >> 1])} ms`;
  }

  learn(classes) {
    for (const { name, light, dark } of classes) this.shades.set(name, { light, dark });
    this.dark = isDark(getComputedStyle(this.find(".live")).backgroundColor);
    this.panel.learn(classes, this.shade);
  }

  teach(label) {
    if (this.selected === null) this.say("There is no face to teach. Come into the picture.");
    else this.link?.ask({ type: "teach", track: this.selected, label });
  }

  record(on) {
    this.link?.ask({ type: "record", on, min_group: Number(this.find(".group").value) });
  }

  showRecording(on, least) {
    this.recording = on;
    if (on) this.find(".group").value = least;
    const button = this.find(".record");
    button.textContent = on ? "Stop recording" : "Record";
    button.setAttribute("aria-pressed", on);
    this.find(".recording").hidden = !on;
    this.find(".group").disabled = on;
    this.say(on ? "Recording what is shown: numbers, no pictures, held until you leave. See the Session page."
      : "Recording ended. The Session page has it.");
  }

  mirror() {
    this.find(".stage").classList.toggle("mirrored", this.find(".mirror").checked);
  }

  step(event) { // the arrow keys go from face to face
    const by = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (!by || !this.faces.length) return;
    event.preventDefault();
    const at = this.faces.findIndex(({ id }) => id === this.selected);
    this.selected = this.faces[(at + by + this.faces.length) % this.faces.length].id;
  }

  say(words) {
    this.find(".status").textContent = words;
  }

  end(words) {
    this.close();
    this.find(".curtain").hidden = false;
    this.find(".word").textContent = words;
    this.find(".go").textContent = "Start again";
    this.find(".bar").hidden = this.find(".panel").hidden = true;
    this.say("");
  }

  close() {
    this.turn = null;
    this.frames.stop();
    this.link?.close();
    this.link = null;
    closeCamera(this.video);
    this.overlay.clear();
    [this.faces, this.selected, this.answers, this.seen] = [[], null, [], false];
  }

  leave() {
    clearTimeout(this.hiding);
    document.removeEventListener("visibilitychange", this.onhidden);
    this.close();
  }
}

function largest(faces) {
  const size = ({ xywh: [, , w, h] }) => w * h;
  return faces.length ? faces.reduce((one, other) => (size(other) > size(one) ? other : one)).id : null;
}

function isDark(colour) { // "rgb(r, g, b)"
  const [r, g, b] = (colour.match(/[\d.]+/g) ?? [255, 255, 255]).map(Number);
  return 0.3 * r + 0.6 * g + 0.1 * b < 128;
}

export default function live({ parentElement, data }) {
  if (!sessions.has(parentElement)) sessions.set(parentElement, new Session(parentElement, data));
  return () => {
    sessions.get(parentElement)?.leave();
    sessions.delete(parentElement);
  };
}
