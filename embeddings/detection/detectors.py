"""Detect faces and their five landmarks in a frame.

There are two detectors: CenterFace, which comes with Moodspace, and YuNet, whose file the user provides. Both get the
frame resized to a working size, in which they find faces about 16 to 400 pixels tall. One working size is enough for
video. Pictures get a second, small one for faces that fill them. Large pictures are also searched in tiles, so that
every frontal face of `LEAST_FACE` pixels or more is found (`tiles`).

Positions are in pixels of the frame. For boxes (0, 0) is the corner of the first pixel; for landmarks it is the center,
as in `moodspace.embeddings.crops`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import cast

import cv2
import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.embeddings.detection.centerface_network import CenterFaceNetwork
from moodspace.embeddings.detection.faces import Detector, DetectorError, Faces
from moodspace.embeddings.detection.opencv_logging import quiet_opencv
from moodspace.embeddings.detection.tiles import LARGEST_OVERLAP, Look, level_scales, look_in_tiles, without_duplicates

__all__ = [
    "LEAST_FACE",
    "LIVE_SIZES",
    "PICTURE_SIZES",
    "CenterFace",
    "Detector",
    "DetectorError",
    "Faces",
    "YuNet",
    "bundled_weights",
    "open_detector",
    "open_picture_detector",
]

LIVE_SIZES = (480,)
PICTURE_SIZES = (640, 320)
# Height in pixels of the smallest face to find in a picture of any size.
LEAST_FACE = 40.0

# The confidences that separate faces from everything else in the pictures and clips that were tried. Of 29 small faces
# in a picture of 1927, at `PICTURE_SIZES`, CenterFace finds all, the least confident at 0.61. YuNet finds 28, from 0.85
# on, and gives two chair backs 0.68 and 0.61. A working size of 960 pixels finds no more and takes twice the time and
# 110 MB more.
CENTERFACE_THRESHOLD = 0.5
YUNET_THRESHOLD = 0.7
# CenterFace is less confident about faces in tiles, which may have 23 pixels: of 243 copies of a face in front of noise
# and bricks, 217 get more than 0.5 and all get more than 0.4. Noise, patterns and photographs without people get at
# most 0.3.
CENTERFACE_TILE_THRESHOLD = 0.35

# Small pictures are enlarged by at most this factor, because the detector then misses faces that fill them.
_LARGEST_ENLARGEMENT = 3.0


class CenterFace:
    """CenterFace with LiteRT. For every 4x4 pixels it gives the confidence that a face is centered there, and its box.

    It may use as many threads as OpenCV does when it is opened (`cv2.setNumThreads`).

    Args:
        model: Its ONNX file; None for the one that comes with Moodspace.
        working_sizes: Longer sides in pixels that the frame is resized to, one pass each.
        threshold: Minimum confidence of a face, in [0, 1].
        least_face: Height in pixels of the smallest face to find in a frame of any size; large frames are searched in
            tiles. None for the working sizes only.

    Raises:
        DetectorError: The file does not exist or is not a network.

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
        self._network = CenterFaceNetwork(bundled_weights() if model is None else model, threads=cv2.getNumThreads())

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
        return decode_centerface(*self._network.maps(small), threshold)


def decode_centerface(
    heat: FloatArray, sizes: FloatArray, offsets: FloatArray, landmarks: FloatArray, threshold: float
) -> Faces:
    """Decode CenterFace's four output maps, which have one cell for 4x4 pixels of its input, to faces.

    Args:
        heat: `(1, 1, h, w)` float32 in [0, 1], confidence that a face is centered in the cell.
        sizes: `(1, 2, h, w)` float32, logarithms of the face's height and width in cells.
        offsets: `(1, 2, h, w)` float32, from the center of the cell to that of the face, y and x in cells.
        landmarks: `(1, 10, h, w)` float32, y and x of each landmark from the box's corner, in the box's heights and
            widths.
        threshold: Minimum confidence of a face.

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
    """YuNet with `cv2.FaceDetectorYN`: faster than CenterFace, with weights that the user provides.

    Args:
        model: Its ONNX file, one with a dynamic input size.
        working_sizes: Longer sides in pixels that the frame is resized to, one pass each.
        threshold: Minimum confidence of a face, in [0, 1].
        least_face: Height in pixels of the smallest face to find in a frame of any size; large frames are searched in
            tiles. None for the working sizes only.

    Raises:
        DetectorError: The file does not exist or is not YuNet.

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
            raise DetectorError(f"detector model: expected YuNet's ONNX file, got no such file: {model}")
        try:
            # OpenCV 5 warns at every start that its new engine cannot choose a target, which nobody asked for.
            with quiet_opencv():
                self._net = cv2.FaceDetectorYN.create(str(model), "", (320, 320), threshold, LARGEST_OVERLAP)
                # Other networks load without an error and fail only here.
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
    """Open a face detector by name.

    Args:
        name: "centerface" or "yunet".
        model: Its weights; optional for "centerface".
        working_sizes: `LIVE_SIZES` for video; see the classes.
        least_face: None for video; see the classes.

    Raises:
        DetectorError: The name is unknown, or the weights are missing or unreadable.
    """
    if name == "centerface":
        return CenterFace(model, working_sizes=working_sizes, least_face=least_face)
    if name == "yunet":
        if model is None:
            raise DetectorError("detector model: expected YuNet's ONNX file, got none; add --detector-model FILE")
        return YuNet(model, working_sizes=working_sizes, least_face=least_face)
    raise DetectorError(f"detector: expected centerface or yunet, got {name!r}")


def open_picture_detector(name: str = "centerface", model: Path | None = None) -> Detector:
    """Open a face detector for pictures, which finds faces of `LEAST_FACE` pixels or more.

    Args:
        name: As for `open_detector`.
        model: As for `open_detector`.

    Raises:
        DetectorError: The name is unknown, or the weights are missing or unreadable.
    """
    return open_detector(name, model, working_sizes=PICTURE_SIZES, least_face=LEAST_FACE)


def bundled_weights() -> Path:
    """Return the ONNX file of the detector that comes with Moodspace."""
    return Path(__file__).with_name("centerface.onnx")


def _in_whole(frame_bgr: ByteArray, look: Look, working_sizes: Sequence[int]) -> Faces:
    """Find faces in the frame resized to each of the working sizes."""
    scales = _scales(frame_bgr, working_sizes)
    return _merge([_rescaled(look(_scaled(frame_bgr, scale)), scale) for scale in scales])


def _in_tiles(frame_bgr: ByteArray, look: Look, working_sizes: Sequence[int], least_face: float, known: Faces) -> Faces:
    """Add the faces found in tiles to the known ones, if the frame is too large for the working sizes."""
    levels = level_scales(max(frame_bgr.shape[:2]), max(_scales(frame_bgr, working_sizes)), least_face)
    passes = [faces for shrink in levels for faces in look_in_tiles(frame_bgr, look, shrink)]
    return without_duplicates(_joined([known, *passes])) if levels else known


def _scales(frame_bgr: ByteArray, working_sizes: Sequence[int]) -> list[float]:
    """Return the factors that resize the frame's longer side to the working sizes, each once, largest first."""
    longest = max(frame_bgr.shape[:2])
    return sorted({min(size / longest, _LARGEST_ENLARGEMENT) for size in working_sizes}, reverse=True)


def _scaled(frame_bgr: ByteArray, scale: float) -> ByteArray:
    height, width = frame_bgr.shape[:2]
    size = max(1, round(width * scale)), max(1, round(height * scale))
    resized = cv2.resize(frame_bgr, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return cast(ByteArray, resized)


def _rescaled(faces: Faces, scale: float) -> Faces:
    """Convert positions from network input to frame, and those of landmarks from pixel corners to pixel centers."""
    step = np.float32(1 / scale)
    return Faces(faces.xywh * step, faces.landmarks * step - np.float32(0.5), faces.confidence)


def _merge(passes: Sequence[Faces]) -> Faces:
    """Join the faces of several passes, most confident first, and keep one of those that overlap."""
    faces = _joined(passes)
    kept = cv2.dnn.NMSBoxes(faces.xywh.tolist(), faces.confidence.tolist(), 0.0, LARGEST_OVERLAP)
    return faces.take(np.array(kept, np.int64).reshape(-1))


def _joined(passes: Sequence[Faces]) -> Faces:
    return Faces(*(np.concatenate([getattr(faces, name) for faces in passes]) for name in Faces.__slots__))
