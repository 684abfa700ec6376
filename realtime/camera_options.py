"""What is wished of a camera or a stream, and how it is opened."""

import math
from dataclasses import dataclass

import cv2

from realtime.stream_capture import StreamCapture

# A stream is given up after this, when it is opened and at every picture; a camera gets as long to be opened.
OPEN_S = 10.0


@dataclass(frozen=True, slots=True)
class CameraOptions:
    """What is wished of a camera or a stream.

    Attributes:
        width: Pixels; None for what the camera is set to, as with `height` and `fps`. Streams come as they are.
        height: Pixels.
        fps: Frames a second.
        mirror: Whether left and right are exchanged; by default a camera's are, so that people find themselves in the
            window as in a mirror.
        regain_s: Seconds for which a camera or stream that was lost is tried again; 0 for not at all.
        hang_s: Seconds without a picture after which it counts as lost.

    Raises:
        ValueError: a number that is not positive.
    """

    width: int | None = None
    height: int | None = None
    fps: float | None = None
    mirror: bool | None = None
    regain_s: float = math.inf
    hang_s: float = 5.0

    def __post_init__(self) -> None:
        for name in ("width", "height", "fps", "hang_s"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise ValueError(f"{name}: expected a number above 0, received {value}")
        if not self.regain_s >= 0:
            raise ValueError(f"regain_s: expected 0 seconds or more, received {self.regain_s}")


# For those who read a source once through: pictures as they come, and lost is lost.
AS_IT_IS = CameraOptions(mirror=False, regain_s=0)


def open_capture(spec: int | str, options: CameraOptions) -> cv2.VideoCapture | StreamCapture:
    """Opens a stream, or a camera, which is set as was wished as far as it can be.

    Args:
        spec: A camera's number or an address.
        options: What is wished of it.
    """
    if not isinstance(spec, int):
        return StreamCapture(spec, OPEN_S)
    capture = cv2.VideoCapture(spec)
    capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
    wishes = {
        cv2.CAP_PROP_FRAME_WIDTH: options.width,
        cv2.CAP_PROP_FRAME_HEIGHT: options.height,
        cv2.CAP_PROP_FPS: options.fps,
    }
    if any(wishes.values()):
        # USB 2 has room for 640x480 at 30 frames a second and little more, unless the camera compresses them.
        capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
    for what, wish in wishes.items():
        if wish is not None:
            capture.set(what, wish)
    return capture
