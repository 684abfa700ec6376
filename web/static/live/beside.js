// Tells maps that are open in other windows of this browser where the faces in view are; nothing leaves the browser.

const MAPS = "moodspace-live"; // as in viz/map/assets/live.js

class Beside {
  constructor() {
    this.channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel(MAPS);
  }

  tell(faces, shade) {
    this.channel?.postMessage(faces.filter(({ place }) => place).map(({ id, place, expression }) => ({
      id, place, expression, shade: expression === null ? UNSURE : shade(expression),
    })));
  }

  close() {
    this.channel?.postMessage([]);
    this.channel?.close();
  }
}
