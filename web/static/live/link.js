// The connection to the server: open it, keep it, reopen it.

// Milliseconds until a connection that never came about is given up, and one that was lost; the longest between two
// tries; and without any answer until a connection counts as lost, as where a network has gone without a word.
const PATIENCE = 5000, GIVEN_UP = 120_000, LONGEST_WAIT = 8000, SILENCE = 8000;
const FULL = 4429, POLICY = 1008, BAD = 4408;
const BLOCKED = "The server cannot be reached for a live session: a proxy or firewall blocks WebSockets. "
  + "The Photo page can take single pictures with your camera.";
const GONE = "The server has been unreachable for two minutes. Start again when it is back.";

const sentence = (words) => `${words[0].toUpperCase()}${words.slice(1)}.`;

class Link {
  // hear(message) gets what the server says, tell(words) what a person should know, lost(words) that it is over.
  constructor(path, { hear, tell, lost }) {
    Object.assign(this, { path, hear, tell, lost, tries: 0, was: false, closed: false });
    this.since = performance.now(); // when it was first tried, or lost
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = this.socket = new WebSocket(`${scheme}://${location.host}${this.path}`);
    const patience = setTimeout(() => this.closed || this.ended({}), PATIENCE);
    socket.onmessage = (event) => {
      if (this.closed) return;
      this.unanswered = null;
      const message = JSON.parse(event.data);
      if (message.type === "ready") {
        clearTimeout(patience);
        [this.was, this.tries, this.since] = [true, 0, null];
      }
      this.hear(message);
    };
    socket.onclose = (event) => {
      clearTimeout(patience);
      if (!this.closed && socket === this.socket) this.ended(event);
    };
  }

  ended({ code, reason }) {
    this.drop();
    this.unanswered = null; // since when
    if (code === FULL) return this.lost(sentence(reason || "the server is full; try again in a few minutes"));
    if (code === POLICY || code === BAD) return this.lost("The server ended the session. Reload the page.");
    const now = performance.now(), wait = Math.min(LONGEST_WAIT, 500 * 2 ** this.tries++);
    this.since ??= now;
    if (!this.was && now + wait - this.since >= PATIENCE) return this.lost(BLOCKED);
    if (now - this.since >= GIVEN_UP) return this.lost(GONE);
    this.tell(this.was ? "Connection lost; reconnecting ..." : "Connecting to the server ...");
    this.timer = setTimeout(() => this.open(), wait);
  }

  send(data) { // whether it went out
    if (this.socket?.readyState !== WebSocket.OPEN || this.socket.bufferedAmount > 2 ** 20) return false;
    const now = performance.now();
    this.unanswered ??= now;
    if (now - this.unanswered > SILENCE) {
      this.ended({});
      return false;
    }
    this.socket.send(data);
    return true;
  }

  ask(message) {
    return this.send(JSON.stringify(message));
  }

  close() {
    this.closed = true;
    clearTimeout(this.timer);
    this.drop();
  }

  drop() { // whatever this socket still says is nothing to us
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }
}
