"""Cameras that do what a script says each time they are opened: fail, hang, go away, come back."""

import threading
from collections.abc import Sequence

import cv2
import numpy as np

from moodspace.arrays import ByteArray

HANG, EMPTY, RAISE, REFUSE = "hang", "empty", "raise", "refuse"
# No test waits longer for what must come.
WAIT_S = 30.0


def picture(gray: int = 0, width: int = 8, height: int = 6) -> ByteArray:
    """A picture of one gray whose left column is white."""
    bgr = np.full((height, width, 3), gray, np.uint8)
    bgr[:, 0] = 255
    return bgr


class ScriptedCameras:
    """Stands in for `cv2.VideoCapture`: each call opens the next script; the last one refuses for ever.

    A script is pictures and words: HANG until `let_go`, EMPTY for a picture that is None, RAISE for OpenCV's error. At
    its end there are no more pictures. The script REFUSE is a camera that cannot be opened.
    """

    def __init__(self, *scripts: Sequence[ByteArray | str] | str, frame_count: float = -1) -> None:
        self.scripts = [*scripts]
        self.frame_count = frame_count
        self.opened: list[ScriptedCapture] = []
        self.hanging, self.let_go = threading.Event(), threading.Event()

    def __call__(self, spec: int | str, *options: object) -> "ScriptedCapture":
        script = self.scripts.pop(0) if self.scripts else REFUSE
        capture = ScriptedCapture(self, spec, script)
        self.opened.append(capture)
        return capture


class ScriptedCapture:
    def __init__(self, cameras: ScriptedCameras, spec: int | str, script: Sequence[ByteArray | str] | str) -> None:
        self.cameras, self.spec = cameras, spec
        self.is_open = script != REFUSE
        self.script = [] if isinstance(script, str) else [*script]
        self.settings: dict[int, float] = {cv2.CAP_PROP_FRAME_COUNT: cameras.frame_count}
        self.released = threading.Event()
        if script == HANG:
            self.hang()

    def hang(self) -> None:
        self.cameras.hanging.set()
        self.cameras.let_go.wait(WAIT_S)

    def isOpened(self) -> bool:
        return self.is_open

    def get(self, what: int) -> float:
        return self.settings.get(what, 0.0)

    def set(self, what: int, value: float) -> bool:
        self.settings[what] = value
        return True

    def read(self) -> tuple[bool, ByteArray | None]:
        step = self.script.pop(0) if self.script else None
        if isinstance(step, str):
            if step == RAISE:
                raise cv2.error("the device went away")
            if step == EMPTY:
                return True, None
            self.hang()
            return self.read()
        return step is not None, step

    def release(self) -> None:
        self.released.set()


class FakeTime:
    """A clock that goes on when somebody waits."""

    def __init__(self) -> None:
        self.now = 100.0
        self.waited: list[float] = []

    def clock(self) -> float:
        return self.now

    def wait(self, seconds: float) -> bool:
        self.waited.append(seconds)
        self.now += seconds
        return False
