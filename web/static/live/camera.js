// Open, change and close the camera, with a message for each failure.

const CAMERA_ERRORS = {
  NotAllowedError: "The camera is not allowed here. Allow it in the browser's address bar, then start again.",
  SecurityError: "The camera is not allowed on this page. Open the app in its own window.",
  NotFoundError: "No camera was found. Plug one in, or use the Photo page with a file.",
  OverconstrainedError: "This camera cannot be used. Choose another one.",
  NotReadableError: "The camera is in use by another program. Close it, then start again.",
  AbortError: "The camera stopped before the first frame. Start again.",
};

// Returns why this browser cannot run a live session, or "".
function unsupported() {
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

// Opens a camera and shows it in a video element; throws an Error with a message for the visitor.
async function openCamera(video, id) {
  const wanted = { width: { ideal: 640 }, height: { ideal: 480 }, frameRate: { ideal: 30 } };
  try {
    const constraints = id ? { ...wanted, deviceId: { exact: id } } : { ...wanted, facingMode: "user" };
    const stream = await navigator.mediaDevices.getUserMedia({ video: constraints, audio: false });
    video.srcObject = stream;
    await video.play();
    return stream;
  } catch (error) {
    throw new Error(CAMERA_ERRORS[error.name] ?? "The camera could not be opened. Try another one, or the Photo page.");
  }
}

function closeCamera(video) {
  for (const track of video.srcObject?.getTracks() ?? []) track.stop();
  video.srcObject = null;
}

// Fills the list of cameras; hides it if there is only one.
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

// Open the camera of a session with the parts .go and .cameras and a video; return whether it is still wanted.
async function startCamera(session, camera) {
  session.say("Opening the camera ...");
  session.find(".go").disabled = true;
  const run = session.run = Symbol("start"); // a start that was superseded closes its camera
  try {
    const stream = await openCamera(session.video, camera);
    if (run !== session.run) {
      closeCamera(session.video);
      return false;
    }
    stream.getVideoTracks()[0].addEventListener("ended", () => session.end("The camera was disconnected."));
    await listCameras(session.find(".cameras"), stream);
    return true;
  } catch (error) {
    session.end(error.message);
    return false;
  } finally {
    session.find(".go").disabled = false;
  }
}
