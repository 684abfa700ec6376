// The connection to the server: opened, kept, taken up again.

const PATIENCE = 5000; // milliseconds until a connection that does not come about is given up
const FULL = 4429, POLICY = 1008, BAD = 4408;
const BLOCKED = "The server cannot be reached for a live session: something between here and there lets no WebSocket "
  + "through. The Photo page takes single pictures of your camera.";

class Link {
  // hear(message) gets what the server says, tell(words) what a person should know, lost(words) that it is over.
  constructor(path, { hear, tell, lost }) {
    Object.assign(this, { path, hear, tell, lost, tries: 0, was: false, closed: false });
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = this.socket = new WebSocket(`${scheme}://${location.host}${this.path}`);
    const patience = setTimeout(() => socket.close(), PATIENCE);
    socket.onopen = () => clearTimeout(patience);
    socket.onmessage = (event) => {
      const message = JSON.parse(event.data);
      if (message.type === "ready") [this.was, this.tries] = [true, 0];
      this.hear(message);
    };
    socket.onclose = (event) => {
      clearTimeout(patience);
      if (!this.closed) this.ended(event);
    };
  }

  ended({ code, reason }) {
    if (code === FULL) return this.lost(`The server is full: ${reason || "come back in a few minutes"}.`);
    if (code === POLICY || code === BAD) return this.lost("The server ended the session. Load the page again.");
    if (!this.was && this.tries >= 1) return this.lost(BLOCKED);
    const wait = Math.min(8000, 500 * 2 ** this.tries++);
    this.tell("The connection was lost; trying again ...");
    this.timer = setTimeout(() => this.open(), wait);
  }

  send(data) { // whether it went out
    if (this.socket.readyState !== WebSocket.OPEN || this.socket.bufferedAmount > 2 ** 20) return false;
    this.socket.send(data);
    return true;
  }

  ask(message) {
    return this.send(JSON.stringify(message));
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.socket.close();
  }
}
