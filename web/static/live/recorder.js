// The button that records, and the sign that it is so: the server knows, and says so with each answer.

class Recorder {
  // ask(on, least) wants it begun or ended, say(words) tells a person.
  constructor(find, { ask, say }) {
    Object.assign(this, { button: find(".record"), sign: find(".recording"), group: find(".group"), say });
    this.least = null; // the smallest group that is recorded, null while nothing is
    this.doubts = 0;
    this.button.addEventListener("click", () => ask(this.least === null, Number(this.group.value)));
  }

  heard({ on, min_group: least }) { // the answer to what was asked
    this.show(on ? least : null);
    this.say(on ? "Recording what is shown: numbers, no pictures, held until you leave. See the Session page."
      : "Recording ended. The Session page has it.");
  }

  seen(least) { // what an answer to a frame says; one that was on its way meanwhile may be wrong
    this.doubts = least === this.least ? 0 : this.doubts + 1;
    if (this.doubts < 2) return;
    this.show(least);
    this.say(least === null ? "The recording has ended. See the Session page." : "What is shown is being recorded.");
  }

  show(least) {
    const on = least !== null;
    [this.least, this.doubts] = [least, 0];
    if (on) this.group.value = least;
    this.button.textContent = on ? "Stop recording" : "Record";
    this.button.classList.toggle("on", on);
    this.sign.hidden = !on;
    this.group.disabled = on;
  }
}
