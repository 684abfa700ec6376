// The map in a frame, and what is selected on it. Streamlit calls `map` again after each run of its script.

const frames = new WeakMap();

class MapFrame {
  constructor(root) {
    this.frame = root.querySelector("iframe");
    this.told = "";
    this.onmessage = ({ source, origin, data }) => {
      if (source !== this.frame.contentWindow || origin !== location.origin || data?.moodspace !== "selected") return;
      const ids = data.ids.join();
      if (ids === this.told) return;
      this.told = ids;
      this.report(data.ids);
    };
    addEventListener("message", this.onmessage);
  }

  update(path, report) {
    this.report = report;
    if (path === this.path) return;
    this.path = path;
    this.frame.src = path;
  }
}

export default function map({ parentElement, data, setStateValue }) {
  if (!frames.has(parentElement)) frames.set(parentElement, new MapFrame(parentElement));
  frames.get(parentElement).update(data.path, (ids) => setStateValue("selected", ids));
  return () => {
    const gone = frames.get(parentElement);
    if (gone) removeEventListener("message", gone.onmessage);
    frames.delete(parentElement);
  };
}
