// Open, change and close the camera; a sentence for everything that can go wrong.

const REFUSALS = {
  NotAllowedError: "The camera is not allowed here. Allow it in the browser's address bar, then start again.",
  SecurityError: "The camera is not allowed on this page. Open the app in its own window.",
  NotFoundError: "No camera was found. Plug one in, or use the Photo page with a file.",
  OverconstrainedError: "This camera cannot be used. Choose another one.",
  NotReadableError: "The camera is in use by another program. Close it, then start again.",
  AbortError: "The camera stopped before the first picture. Start again.",
};

// What a browser lacks for a live session, in a sentence; empty for nothing.
function lacking() {
  if (!window.isSecureContext) {
    return "Browsers allow a camera on secure pages only. Open this page with https, or on the machine that runs it. "
      + "The Photo page works here.";
  }
  if (!navigator.mediaDevices?.getUserMedia) return "This browser cannot use a camera. The Photo page takes files.";
  if (!("WebSocket" in window) || !CanvasRenderingContext2D.prototype.roundRect) {
    return "This browser is too old for a live session. Use a newer one, or the Photo page.";
  }
  return "";
}

// Opens a camera and shows it in a video element; throws an Error whose message can be shown.
async function openCamera(video, id) {
  const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
  try {
    const constraints = id ? { ...wanted, deviceId: { exact: id } } : { ...wanted, facingMode: "user" };
    const stream = await navigator.mediaDevices.getUserMedia({ video: constraints, audio: false });
    video.srcObject = stream;
    await video.play();
    return stream;
  } catch (error) {
    throw new Error(REFUSALS[error.name] ?? "The camera could not be opened. Try another one, or the Photo page.");
  }
}

function closeCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

// Fills a list with the cameras there are; hidden where there is no choice.
async function listCameras(select, stream) {
  const devices = await navigator.mediaDevices.enumerateDevices();
  const cameras = devices.filter((device) => device.kind === "videoinput");
  const current = stream.getVideoTracks()[0]?.getSettings().deviceId;
  select.replaceChildren(...cameras.map((camera, at) => {
    const option = new Option(camera.label || `Camera ${at + 1}`, camera.deviceId);
    option.selected = camera.deviceId === current;
    return option;
  }));
  select.hidden = cameras.length < 2;
}
