/** Open, list and close the camera, with one sentence for each failure. */

import { h } from "../dom.ts";

const ERRORS: Readonly<Record<string, string>> = {
  NotAllowedError: "The camera is not allowed here. Allow it in the browser's address bar, then start again.",
  SecurityError: "The camera is not allowed on this page. Open the app in its own window.",
  NotFoundError: "No camera was found. Plug one in, or use the Photo page with a file.",
  OverconstrainedError: "This camera cannot be used. Choose another one.",
  NotReadableError: "The camera is in use by another program. Close it, then start again.",
  AbortError: "The camera stopped before the first frame. Start again.",
};
const OTHER = "The camera could not be opened. Try another one, or the Photo page.";

export const REVOKED = "The camera is no longer allowed. Allow it in the browser's address bar, then start again.";
export const UNPLUGGED = "The camera was disconnected.";

/** Why this browser cannot use a camera, or "". */
export function unsupported(): string {
  if (!window.isSecureContext) {
    return (
      "Browsers allow a camera on secure pages only. Open this page with https, or on the machine that serves it. " +
      "The Photo page works here."
    );
  }
  if (!navigator.mediaDevices?.getUserMedia) return "This browser cannot use a camera. The Photo page takes files.";
  return "";
}

/** Open a camera and show it in a video element; throw an `Error` with a message for the visitor. */
export async function openCamera(video: HTMLVideoElement, id?: string): Promise<MediaStream> {
  const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
  let stream: MediaStream | null = null;
  try {
    const constraints = id ? { ...wanted, deviceId: { exact: id } } : { ...wanted, facingMode: "user" };
    stream = await navigator.mediaDevices.getUserMedia({ video: constraints, audio: false });
    video.srcObject = stream;
    await video.play();
    return stream;
  } catch (error) {
    for (const track of stream?.getTracks() ?? []) track.stop();
    throw new Error(ERRORS[(error as DOMException).name] ?? OTHER);
  }
}

export function closeCamera(video: HTMLVideoElement): void {
  for (const track of (video.srcObject as MediaStream | null)?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

/** Fill the list of cameras; hide it if there is only one. */
export async function listCameras(select: HTMLSelectElement, stream: MediaStream): Promise<void> {
  const devices = await navigator.mediaDevices.enumerateDevices();
  const cameras = devices.filter((device) => device.kind === "videoinput");
  const current = stream.getVideoTracks()[0]?.getSettings().deviceId;
  select.replaceChildren(
    ...cameras.map((camera, at) =>
      h("option", {
        value: camera.deviceId,
        text: camera.label || `Camera ${at + 1}`,
        selected: camera.deviceId === current,
      }),
    ),
  );
  select.hidden = cameras.length < 2;
}

/**
 * Call `lost` with a message when the camera goes away: unplugged, or its permission taken back.
 *
 * Browsers end the track when a permission is taken back, and some only stop sending frames; so both are watched.
 */
export function watchCamera(stream: MediaStream, lost: (message: string) => void): void {
  const track = stream.getVideoTracks()[0];
  // Null if this browser cannot be asked.
  const asked = navigator.permissions?.query({ name: "camera" as PermissionName }).catch(() => null) ?? null;
  const status = Promise.resolve(asked);
  const granted = status.then((one) => one?.state === "granted");
  track?.addEventListener("ended", async () => {
    // The permission changes a moment after the track ends.
    await new Promise((done) => setTimeout(done, 300));
    const revoked = (await granted) && (await status)?.state !== "granted";
    lost(revoked ? REVOKED : UNPLUGGED);
  });
  void status.then((one) =>
    one?.addEventListener("change", () => {
      if (one.state !== "granted" && track?.readyState === "live") lost(REVOKED);
    }),
  );
}
