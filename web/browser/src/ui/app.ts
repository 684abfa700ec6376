/** The start of the app: load the engine, show the page that the address names, and keep the app up to date. */

import { openEngine } from "../engine/client.ts";
import { EngineError, type Progress } from "../protocol.ts";
import { find, h, say, show } from "./dom.ts";
import { PhotoPage } from "./files/photo.ts";
import { VideoPage } from "./files/video.ts";
import { LivePage } from "./live/page.ts";
import { Live } from "./live/session.ts";
import { MapPage } from "./map.ts";
import { SessionPage } from "./session/page.ts";
import { Recording } from "./session/recording.ts";
import { type Page, State } from "./state.ts";
import { TeachPage } from "./teach/page.ts";

const NAMES = ["live", "photo", "video", "map", "teach", "session", "about"] as const;
type Name = (typeof NAMES)[number];

const TITLES: Readonly<Record<Name, string>> = {
  live: "Live",
  photo: "Photo",
  video: "Video",
  map: "Map",
  teach: "Teach",
  session: "Session",
  about: "About",
};
const DISMISSED = "moodspace banner dismissed";

const pages: Partial<Record<Name, Page>> = {};
let current: Name | null = null;

/** Show the page of the address; an unknown one is the Live page. */
function route(focus: boolean): void {
  const asked = location.hash.slice(1) as Name;
  const name = NAMES.includes(asked) ? asked : "live";
  if (name === current) return;
  if (current) pages[current]?.leave?.();
  current = name;
  for (const one of NAMES) show(find(`#page-${one}`), one === name);
  for (const link of document.querySelectorAll<HTMLAnchorElement>(".pages a")) {
    if (link.hash === `#${name}`) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
  document.title = `${TITLES[name]} · Moodspace`;
  pages[name]?.enter?.();
  scrollTo(0, 0);
  if (focus) find(`#title-${name}`).focus({ preventScroll: true });
}

function showProgress({ stage, loaded, total }: Progress): void {
  const megabytes = (bytes: number) => (bytes / 1e6).toFixed(0);
  const words =
    stage === "start"
      ? "Starting the network ..."
      : `Loading the network: ${megabytes(loaded)} of ${megabytes(total)} MB. Later visits start without this.`;
  // Updated in steps, so that a screen reader does not read each of them.
  find<HTMLProgressElement>("#loading-bar").value = total ? loaded / total : 0;
  find("#loading-words").textContent = words;
}

function showTrouble(message: string): void {
  const trouble = find("#trouble");
  say(trouble, message);
  show(trouble, true);
}

async function start(): Promise<void> {
  find("#starting").remove();
  showBanner();
  addEventListener("hashchange", () => route(true));
  find(".skip").addEventListener("click", (event) => {
    event.preventDefault();
    find("#content").focus();
  });
  // A file that misses its zone must not replace the page.
  for (const kind of ["dragover", "drop"]) addEventListener(kind, (event) => event.preventDefault());
  route(false);
  const engine = openEngine();
  const loading = find("#loading");
  // Not for a flash: loading from this device takes a moment only.
  const patience = setTimeout(() => show(loading, true), 300);
  try {
    const info = await engine.load({ progress: showProgress });
    await open(new State(engine), info);
  } catch (error) {
    showTrouble(error instanceof EngineError ? error.message : "The app could not start. Reload the page.");
    console.warn(error);
  } finally {
    clearTimeout(patience);
    show(loading, false);
  }
  // Last, because it fetches the same files; the browser has them by now.
  await keepUpToDate();
}

async function open(state: State, info: State["info"]): Promise<void> {
  state.info = info;
  state.view = info.defaultView;
  state.live = new Live(state.engine, find<HTMLVideoElement>("#page-live video"));
  state.setTaught(await state.engine.taught());
  const recording = new Recording(state);
  const teach = new TeachPage(state);
  pages.live = new LivePage(state, recording);
  pages.map = new MapPage(state);
  pages.session = new SessionPage(state, recording);
  new PhotoPage(state, find<HTMLElement>(".sample").dataset.picture ?? "");
  new VideoPage(state);
  showCamera(state);
  showAbout(info);
  if (current) pages[current]?.enter?.();
  document.documentElement.dataset.ready = "true";
  await teach.restore();
}

/** On every page, say that the camera is on, with a way to stop it. */
function showCamera(state: State): void {
  const button = find("#camera-on");
  button.addEventListener("click", () => state.live.stop("Stopped."));
  state.live.onChange(() => show(button, state.live.running));
}

function showAbout(info: State["info"]): void {
  const { threads } = info.runtime;
  const rows: [string, string][] = [
    ["version of Moodspace", info.version],
    ["known faces", info.galleryCount.toLocaleString("en")],
    ["network runs on", `WebAssembly, ${threads === 1 ? "one thread" : `${threads} threads`}`],
    ["views", info.views.map((one) => one.name).join(", ")],
  ];
  find("#page-about .versions").replaceChildren(
    ...rows.map(([name, value]) => h("div", {}, h("dt", { text: name }), h("dd", { text: value }))),
  );
}

/** Say where pictures are processed, until the visitor dismisses it. */
function showBanner(): void {
  const banner = find("#banner");
  let dismissed = false;
  try {
    dismissed = sessionStorage.getItem(DISMISSED) !== null;
  } catch {
    // This browser keeps nothing here; the banner comes again.
  }
  show(banner, !dismissed);
  find("button", banner).addEventListener("click", () => {
    show(banner, false);
    find("#content").focus({ preventScroll: true });
    try {
      sessionStorage.setItem(DISMISSED, "yes");
    } catch {
      // As above.
    }
  });
}

/** Install the service worker, and offer a new version when there is one. */
async function keepUpToDate(): Promise<void> {
  const workers = navigator.serviceWorker;
  if (!workers) return;
  try {
    const registration = await workers.register("sw.js");
    const offer = (worker: ServiceWorker | null) => {
      // Without a controller this is the first visit.
      if (!worker || !workers.controller) return;
      const update = find("#update");
      show(update, true);
      find("button", update).onclick = () => {
        workers.addEventListener("controllerchange", () => location.reload());
        worker.postMessage("take over");
      };
    };
    offer(registration.waiting);
    registration.addEventListener("updatefound", () => {
      const worker = registration.installing;
      worker?.addEventListener("statechange", () => worker.state === "installed" && offer(worker));
    });
  } catch (error) {
    // Not on secure pages, or in some private windows: then the app works online only.
    console.info("works online only:", (error as Error).message);
  }
}

void start();
