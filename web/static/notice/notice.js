// The notice on privacy: shown until it is dismissed, then never again in this browser unless its text changes.

const KEY = "moodspace-notice";
// Where a browser forbids storage, a dismissal holds until the page is reloaded.
const memory = (globalThis.moodspaceNotice ??= { dismissed: null });

function dismissed() {
  try {
    return localStorage.getItem(KEY) ?? memory.dismissed;
  } catch {
    return memory.dismissed;
  }
}

function dismiss(text) {
  memory.dismissed = text;
  try {
    localStorage.setItem(KEY, text);
  } catch { /* forbidden */ }
}

export default function notice({ parentElement, data }) {
  const box = parentElement.querySelector(".notice");
  box.querySelector("p").innerHTML = data.text; // the app's own words
  box.hidden = dismissed() === data.text;
  box.querySelector("button").onclick = () => {
    dismiss(data.text);
    box.hidden = true;
  };
}
