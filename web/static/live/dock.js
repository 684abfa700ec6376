// The sign of a session that goes on while the visitor is on another page of the app: its picture, what it does, and
// buttons to return and to stop.

const DOCK_STYLE = `
  :host { position: fixed; z-index: 999980; right: 16px; bottom: 16px; }
  div { display: flex; align-items: center; gap: 12px; padding: 10px 14px 10px 10px; border-radius: 14px; background: #1c1f25;
    color: #eceef2; border: 1px solid #3a3f48; box-shadow: 0 6px 24px rgb(0 0 0 / .35); font: 14px/1.35 system-ui, sans-serif; }
  video { width: 96px; height: 72px; object-fit: cover; border-radius: 8px; background: #000; transform: scaleX(-1); }
  p { margin: 0 0 6px; font-weight: 600; }
  p::before { content: ""; display: inline-block; width: 9px; height: 9px; margin-right: 7px; border-radius: 50%; background: #ff5a4d; }
  button { font: inherit; color: inherit; background: none; border: 1px solid #5a606b; border-radius: 99px; padding: 3px 12px; cursor: pointer; }
  button:hover { background: #2b2f36; }
  button:focus-visible { outline: 2px solid #fff; outline-offset: 2px; }
  section { display: none; }
  @media (max-width: 768px) { :host { right: 8px; bottom: 74px; } video { width: 64px; height: 64px; } }
`;

class Dock {
  // Keeps the session's section and shows its video; calls stop() for the button.
  constructor(section, video, stop) {
    Object.assign(this, { section, video, place: document.createComment("video") });
    this.host = document.createElement("aside");
    this.host.setAttribute("aria-label", "Live session");
    this.host.className = "moodspace-dock";
    const root = this.host.attachShadow({ mode: "open" }), box = document.createElement("div");
    root.append(Object.assign(document.createElement("style"), { textContent: DOCK_STYLE }), box, section);
    video.replaceWith(this.place);
    const side = document.createElement("span"), back = element("button", "Back to Live"), end = element("button", "Stop");
    this.words = element("p", "");
    this.words.setAttribute("role", "status");
    back.addEventListener("click", toLivePage);
    end.addEventListener("click", stop);
    side.append(this.words, back, " ", end);
    box.append(video, side);
    document.body.append(this.host);
    this.above = new ResizeObserver(([{ contentRect }]) => { // above the notice on privacy, while that is there
      this.host.style.marginBottom = contentRect.height ? `${contentRect.height + 12}px` : "";
    });
    const notice = document.querySelector(".st-key-banner");
    if (notice) this.above.observe(notice);
    video.play().catch(() => {}); // moving it in the document pauses it
  }

  say(text) {
    if (this.words.textContent !== text) this.words.textContent = text;
  }

  release() { // puts the video back and returns the section
    this.above.disconnect();
    this.place.replaceWith(this.video);
    this.host.remove();
    return this.section;
  }
}

function toLivePage() { // as a click on the app's navigation, so that the page is not loaded anew
  const links = document.querySelectorAll('[data-testid="stTopNavLink"], .st-key-tabs a');
  const live = [...links].filter((link) => link.textContent.trim().endsWith("Live"));
  (live.find((link) => link.offsetParent) ?? live[0])?.click();
}
