// The connection to the server: open it, keep it, reopen it.

// In milliseconds: when to give up a connection that never opened, and one that was lost; the maximum wait between two
// attempts; and the time without an answer after which a connection counts as lost.
const CONNECT_TIMEOUT = 5000, RECONNECT_TIMEOUT = 120_000, MAX_WAIT = 8000, ANSWER_TIMEOUT = 8000;
// Close codes of the server.
const FULL = 4429, POLICY = 1008, INVALID = 4408;
const BLOCKED = "The server cannot be reached for a live session: a proxy or firewall blocks WebSockets. "
  + "The Photo page can take single pictures with your camera.";
const GONE = "The server has been unreachable for two minutes. Start again when it is back.";

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;

class Link {
  // Calls receive(message) for each message, status(text) for the visitor, and fail(text) when it gives up.
  constructor(path, { receive, status, fail }) {
    Object.assign(this, { path, receive, status, fail, attempts: 0, opened: false, closed: false });
    this.since = performance.now(); // time of the first attempt, or of the loss
    this.open();
  }

  open() {
    const scheme = location.protocol === "https:" ? "wss" : "ws";
    const socket = this.socket = new WebSocket(`${scheme}://${location.host}${this.path}`);
    const timeout = setTimeout(() => this.closed || this.ended({}), CONNECT_TIMEOUT);
    socket.onmessage = (event) => {
      if (this.closed) return;
      this.unanswered = null;
      const message = JSON.parse(event.data);
      if (message.type === "ready") {
        clearTimeout(timeout);
        [this.opened, this.attempts, this.since] = [true, 0, null];
      }
      this.receive(message);
    };
    socket.onclose = (event) => {
      clearTimeout(timeout);
      if (!this.closed && socket === this.socket) this.ended(event);
    };
  }

  ended({ code, reason }) {
    this.drop();
    this.unanswered = null; // time of the oldest message without an answer
    if (code === FULL) return this.fail(sentence(reason || "the server is full; try again in a few minutes"));
    if (code === POLICY || code === INVALID) return this.fail("The server ended the session. Reload the page.");
    const now = performance.now(), wait = Math.min(MAX_WAIT, 500 * 2 ** this.attempts++);
    this.since ??= now;
    if (!this.opened && now + wait - this.since >= CONNECT_TIMEOUT) return this.fail(BLOCKED);
    if (now - this.since >= RECONNECT_TIMEOUT) return this.fail(GONE);
    this.status(this.opened ? "Connection lost; reconnecting ..." : "Connecting to the server ...");
    this.timer = setTimeout(() => this.open(), wait);
  }

  send(data) { // returns whether it was sent
    if (this.socket?.readyState !== WebSocket.OPEN || this.socket.bufferedAmount > 2 ** 20) return false;
    const now = performance.now();
    this.unanswered ??= now;
    if (now - this.unanswered > ANSWER_TIMEOUT) {
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

  drop() { // ignores everything that this socket still receives
    const socket = this.socket;
    this.socket = null;
    socket?.close();
  }
}
