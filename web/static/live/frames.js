// Send frames of the video as small JPEGs, with at most two unanswered at a time.

const LONGEST = 640, QUALITY = 0.8, MAX_UNANSWERED = 2;
// Milliseconds without an answer after which a frame counts as lost.
const LOST_AFTER = 1500;

class Frames {
  constructor(video, send) {
    [this.video, this.send] = [video, send];
    this.canvas = document.createElement("canvas");
    this.pen = this.canvas.getContext("2d", { alpha: false });
    this.unanswered = new Map(); // sequence number -> time of sending
    [this.sequence, this.running, this.busy] = [0, false, false];
  }

  start(rate) { // frames per second; the server drops frames beyond it
    this.step = 1000 / rate;
    if (this.running) return;
    [this.running, this.due] = [true, 0];
    this.next(this.run = Symbol("run"));
  }

  stop() {
    this.running = false;
    this.unanswered.clear();
  }

  next(run) { // called with each frame of the video, until stopped or restarted
    if (!this.running || run !== this.run) return;
    const go = () => {
      this.take();
      this.next(run);
    };
    if (this.video.requestVideoFrameCallback) this.video.requestVideoFrameCallback(go);
    else setTimeout(go, 33);
  }

  answered(sequence) { // the server dropped older ones
    for (const one of this.unanswered.keys()) if (one <= sequence) this.unanswered.delete(one);
  }

  async take() {
    const now = performance.now();
    for (const [one, sent] of this.unanswered) if (now - sent > LOST_AFTER) this.unanswered.delete(one);
    const { videoWidth: width, videoHeight: height } = this.video;
    if (!this.running || this.busy || this.unanswered.size >= MAX_UNANSWERED || !width || now < this.due) return;
    this.due = Math.max(this.due, now - this.step) + this.step; // single frames may come early
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
      this.unanswered.set(this.sequence, now);
      this.sequence = (this.sequence + 1) % 2 ** 32;
    } finally {
      this.busy = false;
    }
  }
}
