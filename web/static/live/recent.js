// The last minutes as stacked areas: each second's mean over the readable faces in view. Kept in this page only.

const RECENT_SECONDS = 180;

class Recent {
  constructor(figure) {
    Object.assign(this, { figure, canvas: figure.querySelector("canvas"), words: figure.querySelector("figcaption") });
    this.canvas.addEventListener("pointermove", (event) => {
      const box = this.canvas.getBoundingClientRect();
      this.pointed = Math.round((1 - (event.clientX - box.left) / box.width) * RECENT_SECONDS);
      this.describe();
    });
    this.canvas.addEventListener("pointerleave", () => {
      this.pointed = null;
      this.describe();
    });
    this.clear();
  }

  clear() {
    Object.assign(this, { seconds: new Map(), marks: [], pointed: null, newest: null });
    this.canvas.width += 0; // empties it
    this.describe();
  }

  add(faces, now) { // now: milliseconds of performance.now()
    const at = Math.floor(now / 1000);
    if (at !== this.newest) {
      this.newest = at;
      for (const old of this.seconds.keys()) if (old <= at - RECENT_SECONDS) this.seconds.delete(old);
      this.marks = this.marks.filter(({ second }) => second > at - RECENT_SECONDS);
    }
    const second = this.seconds.get(at) ?? { faces: 0, sums: new Map() };
    for (const face of faces) {
      if (!face.quality.good) continue;
      second.faces++;
      for (const [name, share] of Object.entries(face.smoothed)) second.sums.set(name, (second.sums.get(name) ?? 0) + share);
    }
    this.seconds.set(at, second);
  }

  mark(name, now) {
    this.marks.push({ name, second: now / 1000 });
  }

  draw(names, { shade, ink, paper }) {
    const { canvas, newest } = this, ratio = devicePixelRatio || 1;
    const [width, height] = [canvas.clientWidth, canvas.clientHeight].map((side) => Math.round(side * ratio));
    if (!width || newest === null) return;
    if (canvas.width !== width || canvas.height !== height) [canvas.width, canvas.height] = [width, height];
    const pen = canvas.getContext("2d"), step = width / RECENT_SECONDS;
    const left = (second) => (second - newest - 1 + RECENT_SECONDS) * step;
    pen.clearRect(0, 0, width, height);
    for (const [at, { faces, sums }] of this.seconds) {
      let low = height;
      for (const name of faces ? names : []) {
        const part = ((sums.get(name) ?? 0) / faces) * height;
        pen.fillStyle = shade(name);
        pen.fillRect(Math.floor(left(at)), low - part, Math.ceil(step), part);
        low -= part;
      }
    }
    pen.strokeStyle = ink;
    pen.textBaseline = "top";
    pen.lineWidth = ratio;
    pen.font = `600 ${11 * ratio}px system-ui, sans-serif`;
    for (const { name, second } of this.marks) {
      const x = Math.round(left(second)) + 0.5;
      pen.setLineDash([3 * ratio, 3 * ratio]);
      pen.beginPath();
      pen.moveTo(x, 0);
      pen.lineTo(x, height);
      pen.stroke();
      const label = name.slice(0, 24), wide = pen.measureText(label).width + 8 * ratio;
      const from = Math.min(x + 2 * ratio, width - wide);
      pen.fillStyle = paper;
      pen.fillRect(from, 2 * ratio, wide, 16 * ratio);
      pen.fillStyle = ink;
      pen.fillText(label, from + 4 * ratio, 5 * ratio);
    }
    this.describe();
  }

  describe() {
    const ago = this.pointed, second = ago === null ? null : this.seconds.get(this.newest - ago);
    if (ago === null) this.words.textContent = "The last 3 minutes: mean of the readable faces in view. Not stored.";
    else if (!second?.faces) this.words.textContent = `${ago} s ago: no readable face`;
    else {
      const shares = [...second.sums].map(([name, sum]) => [name, sum / second.faces]).sort((one, other) => other[1] - one[1]);
      this.words.textContent = `${ago} s ago: ${shares.slice(0, 3).map(([name, share]) => `${name} ${PER_CENT(share)}`).join(", ")}`;
    }
  }
}
