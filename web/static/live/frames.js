// Frames on their way: from the video to a JPEG small enough, never more under way than the server can answer.

const LONGEST = 640, QUALITY = 0.8, AT_ONCE = 2;
// A frame that got no answer for so long, in milliseconds, is taken for lost.
const LOST = 1500;

class Frames {
  constructor(video, send) {
    [this.video, this.send] = [video, send];
    this.canvas = document.createElement("canvas");
    this.pen = this.canvas.getContext("2d", { alpha: false });
    this.underway = new Map(); // sequence -> when it was sent
    [this.sequence, this.running, this.busy] = [0, false, false];
  }

  start(rate) { // at most so many a second: the server leaves out more
    this.step = 1000 / rate;
    if (this.running) return;
    [this.running, this.due] = [true, 0];
    this.next(this.turn = Symbol("turn"));
  }

  stop() {
    this.running = false;
    this.underway.clear();
  }

  next(turn) { // with each frame of the video, until it is stopped or begun anew
    if (!this.running || turn !== this.turn) return;
    const go = () => {
      this.take();
      this.next(turn);
    };
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(go);
    else setTimeout(go, 33);
  }

  answered(sequence) { // older ones were dropped
    for (const one of this.underway.keys()) if (one <= sequence) this.underway.delete(one);
  }

  async take() {
    const now = performance.now();
    for (const [one, sent] of this.underway) if (now - sent > LOST) this.underway.delete(one);
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!this.running || this.busy || this.underway.size >= AT_ONCE || !width || now < this.due) return;
    this.due = Math.max(this.due, now - this.step) + this.step; // a frame may come early, but not each of them
    this.busy = true;
    try {
      const scale = Math.min(1, LONGEST / Math.max(width, height));
      [this.canvas.width, this.canvas.height] = [Math.round(width * scale), Math.round(height * scale)];
      this.pen.drawImage(this.video, 0, 0, this.canvas.width, this.canvas.height);
      const jpeg = await new Promise((done) => this.canvas.toBlob(done, "image/jpeg", QUALITY));
      if (!this.running || !jpeg) return;
      const head = new DataView(new ArrayBuffer(12));
      head.setUint32(0, this.sequence, true);
      head.setFloat64(4, now, true);
      if (!this.send(new Blob([head.buffer, jpeg]))) return;
      this.underway.set(this.sequence, now);
      this.sequence = (this.sequence + 1) % 2 ** 32;
    } finally {
      this.busy = false;
    }
  }
}
