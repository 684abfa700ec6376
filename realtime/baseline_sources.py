"""A baseline from files: one person's pictures, the first seconds of a video, or what an earlier session saved."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np

from moodspace.arrays import ByteArray
from moodspace.classifier.baseline import (
    LEAST_FRAMES,
    Baseline,
    RefusedBaselineError,
    load_baseline,
    measure_baseline,
    rest_of,
)
from moodspace.classifier.recognizer import Shift
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.encoder import encode_all
from moodspace.errors import MoodspaceError
from moodspace.realtime.baselines import MOST_YAW
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.capture.source import Frame
from moodspace.realtime.pipeline import Process

_FIRST = re.compile(r"FIRST:(\d+(?:\.\d*)?)", re.IGNORECASE)
# About this many frames a second of a video are read.
_FRAMES_A_SECOND = 10.0


class FileBaseline:
    """The baseline of one person whose files are predicted.

    Args:
        shift: The shift of all files, see `moodspace.classifier.baseline.rest_of`; None to measure each video.
        seconds: The seconds at the beginning of each video in which the person is at rest.
    """

    def __init__(self, shift: Shift | None, seconds: float) -> None:
        self._shift, self._seconds = shift, seconds

    def begin(self, name: str, process: Process, *, video: bool) -> None:
        """Let a pipeline use the baseline for the next file.

        Args:
            name: The file.
            process: The pipeline that predicts it.
            video: Whether it is a video.

        Raises:
            RefusedBaselineError: The beginning of the video makes no baseline.
        """
        if self._shift is not None:
            process.shift = self._shift
            return
        process.shift = None
        if not video:
            raise RefusedBaselineError("expected a video for a baseline from its first seconds, got a picture")
        measured = measure_file(name, process, process, seconds=self._seconds)
        process.shift = rest_of(measured, process.recognizer).shift


def open_baseline(spec: str, pictures: Process, videos: Process | None) -> FileBaseline:
    """Open the baseline that a command names.

    Args:
        spec: A picture, a video or a folder of them, all of one person at rest; a saved baseline, whose name ends in
            .json; or FIRST:SECONDS, the first seconds of each video.
        pictures: The pipeline for pictures.
        videos: The pipeline for videos; None if pictures are whole faces.

    Raises:
        MoodspaceError: It cannot be read, or makes no baseline.
    """
    if first := _FIRST.fullmatch(spec):
        if videos is None or float(first[1]) <= 0:
            raise MoodspaceError(f"--baseline: expected FIRST:SECONDS with seconds > 0, for videos, got {spec}")
        return FileBaseline(None, float(first[1]))
    recognizer = pictures.recognizer
    if spec.lower().endswith(".json"):
        baseline = load_baseline(Path(spec), recognizer.bundle)
    else:
        try:
            baseline = measure_file(spec, pictures, videos)
        except RefusedBaselineError as error:
            raise RefusedBaselineError(f"{spec}: {error}") from error
    return FileBaseline(rest_of(baseline, recognizer).shift, 0.0)


def measure_file(spec: str, pictures: Process, videos: Process | None, seconds: float | None = None) -> Baseline:
    """Measure the resting face of one person.

    Args:
        spec: A picture, a video, or a folder of them. Of each picture the largest face counts.
        pictures: The pipeline for pictures.
        videos: The pipeline for videos; None uses `pictures`.
        seconds: Use a video up to this time only; None for all of it.

    Raises:
        RefusedBaselineError: The frames make no baseline, or most frames of a video show several faces.
        SourceError: There is no such file, or it cannot be read.
    """
    crops: list[ByteArray] = []
    looked = several = of_video = 0
    with open_source(spec, files_only=True) as source:
        for frame in _sampled(source, seconds):
            process = pictures if frame.fps is None else videos or pictures
            faces, cut, quality = process.find(frame.bgr)
            looked += 1
            of_video += frame.fps is not None
            several += frame.fps is not None and len(faces) > 1
            if len(faces):
                largest = int(faces.xywh[:, 2:].prod(axis=1).argmax())
                if quality.good[largest] and abs(float(quality.yaw[largest])) <= MOST_YAW:
                    crops.append(cut[largest])
    if several > of_video / 2:
        raise RefusedBaselineError("expected one person at rest, got frames with several faces; use another video")
    recognizer = pictures.recognizer
    encoded = encode_all(recognizer.bundle.encoder, np.array(crops, np.uint8).reshape(-1, SIZE, SIZE))
    return measure_baseline(recognizer, encoded, looked, least=LEAST_FRAMES if of_video else 1)


def _sampled(frames: Iterable[Frame], seconds: float | None) -> Iterator[Frame]:
    """Yield each picture, and the frames of videos up to a time, not too many a second."""
    due = 0.0
    for frame in frames:
        if frame.index == 0:
            due = 0.0
        if frame.fps is not None:
            if seconds is not None and frame.time > seconds:
                return
            if frame.time < due:
                continue
            due = frame.time + 0.9 / _FRAMES_A_SECOND
        yield frame
