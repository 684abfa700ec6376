// The button that marks an event in the recording: it takes the time at once, and then asks for a name.

class Marker {
  // Calls ask({ type, name, ago }) with the seconds since the button was pressed.
  constructor(find, { ask }) {
    Object.assign(this, { button: find(".mark-event"), form: find(".event-name"), input: find(".event-name input") });
    this.button.addEventListener("click", () => this.open());
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      ask({ type: "mark", name: this.input.value.trim() || "event", ago: (performance.now() - this.pressed) / 1000 });
      this.close();
    });
    this.form.addEventListener("keydown", (event) => {
      if (event.key === "Escape") this.close();
    });
  }

  open() {
    if (this.button.hidden) return;
    if (this.form.hidden) this.pressed = performance.now();
    this.form.hidden = false;
    this.input.focus();
  }

  close() {
    const focused = this.form.contains(this.form.getRootNode().activeElement);
    this.form.hidden = true;
    this.input.value = "";
    if (focused && !this.button.hidden) this.button.focus();
  }

  enable(on) { // events are marked in a recording only
    if (!on) this.close();
    this.button.hidden = !on;
  }
}
