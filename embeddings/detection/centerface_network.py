"""Run CenterFace with LiteRT, which takes about two thirds of the time of `cv2.dnn` and gives the same numbers."""

from collections import OrderedDict
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.embeddings.detection.conversion import OUTPUTS, STRIDE, convert_centerface
from moodspace.embeddings.detection.faces import DetectorError
from moodspace.embeddings.litert import Network, open_interpreter

# A video has one input size; a picture has one for each working size, and one for its tiles. Each has an interpreter
# of its own, which takes 15 ms to open and, at 480x288, 50 MB.
_MOST_SIZES = 3


class CenterFaceNetwork:
    """The network for inputs of any size.

    Args:
        model: Its ONNX file.
        threads: How many threads one call may use.

    Raises:
        DetectorError: The file does not exist or is not CenterFace.
    """

    def __init__(self, model: Path, threads: int) -> None:
        if not model.is_file():
            raise DetectorError(f"detector model: expected CenterFace's ONNX file, got no such file: {model}")
        self._model, self._threads = model, threads
        self._network = _converted(model, model.stat().st_mtime_ns)
        self._opened: OrderedDict[tuple[int, int], Any] = OrderedDict()

    def maps(self, bgr: ByteArray) -> tuple[FloatArray, FloatArray, FloatArray, FloatArray]:
        """Return the confidences, sizes, offsets and landmarks of a picture; see `decode_centerface`.

        Args:
            bgr: `(h, w, 3)` uint8 in [0, 255], BGR.
        """
        height, width = bgr.shape[:2]
        # Pad at the end, because stretching would change proportions.
        padded = cv2.copyMakeBorder(bgr, 0, -height % STRIDE, 0, -width % STRIDE, cv2.BORDER_CONSTANT)
        interpreter = self._open(padded.shape[0], padded.shape[1])
        interpreter.set_tensor(interpreter.get_input_details()[0]["index"], _as_input(padded))
        interpreter.invoke()
        found = {one["name"]: interpreter.get_tensor(one["index"]) for one in interpreter.get_output_details()}
        heat, sizes, offsets, landmarks = (found[name].transpose(0, 3, 1, 2) for name in OUTPUTS.values())
        return heat, sizes, offsets, landmarks

    def _open(self, height: int, width: int) -> Any:
        """Return the interpreter for an input size; close the one that was not used for longest if there are many."""
        if (height, width) not in self._opened:
            while len(self._opened) >= _MOST_SIZES:
                self._opened.popitem(last=False)
            self._opened[height, width] = open_interpreter(
                self._network.resized(height=height, width=width), self._threads
            )
        self._opened.move_to_end((height, width))
        return self._opened[height, width]


@lru_cache(maxsize=1)
def _converted(model: Path, changed: int) -> Network:
    """Convert a file once for all detectors of a process; `changed` is when the file was written."""
    return convert_centerface(model)


def _as_input(bgr: np.ndarray) -> FloatArray:
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)[None].astype(np.float32)
