"""The live pipeline on frames with more faces, and on larger frames.

Counted is processor time, of all threads: other programs on the machine hardly change it. `wall_ms` is the time that
passes.
"""

import time
from collections.abc import Sequence
from typing import cast

import cv2
import numpy as np

from benchmarks.growth.curves import Curve
from moodspace.arrays import ByteArray
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.faces import Detector
from moodspace.embeddings.pictures import read_rgb
from moodspace.realtime.demo import picture_path
from moodspace.realtime.pipeline import STAGES, LivePipeline
from moodspace.realtime.window.draw import draw_live

FACES = (1, 2, 4, 8, 16, 32)
SIZES = ((320, 180), (640, 360), (960, 540), (1280, 720), (1920, 1080), (2560, 1440), (3840, 2160))
_COLUMNS, _ROWS = 8, 4
_WARM_UP = 5


def crowd_frames(faces: int, size: tuple[int, int], count: int) -> list[ByteArray]:
    """Draw frames of up to 32 faces, an eighth as wide as the frame, that move a little and have noise.

    Args:
        faces: How many faces.
        size: Width and height in pixels.
        count: How many frames.
    """
    width, height = size
    cell = width // _COLUMNS, height // _ROWS
    picture = np.ascontiguousarray(read_rgb(picture_path())[0:290, 80:370, ::-1])
    side = min(cell)
    head = cv2.resize(picture, (side, side), interpolation=cv2.INTER_AREA)
    rng = np.random.default_rng(0)
    # Spread over the frame, not row after row.
    places = [(row, column) for row in range(_ROWS) for column in range(_COLUMNS)]
    places = [places[(5 * number + 11) % len(places)] for number in range(faces)]
    drawn = []
    for at in range(count):
        frame = np.full((height, width, 3), 96, np.uint8)
        for row, column in places:
            frame[row * cell[1] : row * cell[1] + side, column * cell[0] : column * cell[0] + side] = head
        frame = np.roll(frame, (at % 3, 2 * (at % 3)), (0, 1))
        noise = rng.integers(0, 4, frame.shape, np.uint8)
        drawn.append(cast(ByteArray, cv2.add(frame, noise)))
    return drawn


def _point(
    at: float, frames: Sequence[ByteArray], detector: Detector, recognizer: Recognizer, rounds: int
) -> dict[str, float]:
    """Return milliseconds a frame: processor time of the whole, median and least round, and of each stage."""
    whole, wall, parts, found = [], [], [], 0
    for _ in range(rounds):
        pipeline = LivePipeline(detector, recognizer, clock=time.process_time)
        spent = dict.fromkeys((*STAGES, "draw"), 0.0)
        begun, began = 0.0, 0.0
        for number, frame in enumerate(frames):
            if number == _WARM_UP:
                begun, began = time.process_time(), time.perf_counter()
            result = pipeline.process(frame, number / 25)
            processed = time.process_time()
            draw_live(frame, result)
            drawn = time.process_time()
            found = len(result.faces)
            if number >= _WARM_UP:
                for name, ms in (*result.timings_ms.items(), ("draw", 1000 * (drawn - processed))):
                    spent[name] += ms
        timed = len(frames) - _WARM_UP
        whole.append(1000 * (time.process_time() - begun) / timed)
        wall.append(1000 * (time.perf_counter() - began) / timed)
        parts.append({name: ms / timed for name, ms in spent.items()})
    stages = {f"{name}_ms": round(float(np.median([one[name] for one in parts])), 3) for name in parts[0]}
    median = round(float(np.median(whole)), 2)
    return {"at": at, "faces_found": found, "frame_ms": median, "least_ms": round(min(whole), 2),
            "wall_ms": round(float(np.median(wall)), 2)} | stages  # fmt: skip


def faces_curve(detector: Detector, recognizer: Recognizer, *, count: int = 25, rounds: int = 3) -> Curve:
    """Measure frames of 1280x720 with 1 to 32 faces of 160 pixels."""
    curve = Curve("faces", "faces in a frame of 1280x720", "frame_ms", "processor ms a frame")
    for faces in FACES:
        frames = crowd_frames(faces, (1280, 720), count)
        curve.points.append(_point(faces, frames, detector, recognizer, rounds))
    return curve


def sizes_curve(detector: Detector, recognizer: Recognizer, *, count: int = 25, rounds: int = 3) -> Curve:
    """Measure frames of four faces, from 320x180 to 3840x2160; the size is in megapixels."""
    curve = Curve("picture_size", "megapixels of a frame with four faces", "frame_ms", "processor ms a frame")
    for width, height in SIZES:
        frames = crowd_frames(4, (width, height), count)
        point = _point(width * height / 1e6, frames, detector, recognizer, rounds)
        curve.points.append(point | {"width": width, "height": height})
    return curve
