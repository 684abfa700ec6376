"""A detector that is opened later is opened once, in a thread if asked to, and says why it cannot be."""

import threading

import numpy as np
import pytest

from moodspace.embeddings.detection.detectors import DetectorError
from moodspace.embeddings.detection.faces import Faces
from moodspace.embeddings.detection.later import LaterDetector

FRAME = np.zeros((8, 8, 3), np.uint8)
FACES = Faces.empty()


class Nobody:
    """A detector that finds no face."""

    def detect(self, frame_bgr: np.ndarray) -> Faces:
        return FACES


class Opening:
    """Opens a detector; keeps the threads that it did so in."""

    def __init__(self, failures: int = 0) -> None:
        self.failures, self.threads = failures, []
        self.done = threading.Event()

    def __call__(self) -> Nobody:
        self.threads.append(threading.current_thread())
        self.done.set()
        if len(self.threads) <= self.failures:
            raise DetectorError("expected weights, got none")
        return Nobody()


def test_a_detector_that_nothing_needs_is_not_opened() -> None:
    opening = Opening()
    LaterDetector(opening)
    assert opening.threads == []


def test_the_first_frame_opens_it_once() -> None:
    opening = Opening()
    detector = LaterDetector(opening)
    assert detector.detect(FRAME) is FACES
    assert detector.detect(FRAME) is FACES
    assert opening.threads == [threading.current_thread()]


def test_a_started_detector_is_opened_in_another_thread_and_only_there() -> None:
    opening = Opening()
    detector = LaterDetector(opening).start()
    assert opening.done.wait(10)
    assert detector.detect(FRAME) is FACES
    assert len(opening.threads) == 1
    assert opening.threads[0] is not threading.current_thread()


def test_the_caller_hears_why_a_started_detector_cannot_be_opened() -> None:
    opening = Opening(failures=2)
    detector = LaterDetector(opening).start()
    assert opening.done.wait(10)
    with pytest.raises(DetectorError, match="expected weights"):
        detector.opened()
    assert detector.detect(FRAME) is FACES
