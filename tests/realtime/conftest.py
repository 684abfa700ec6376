"""A recognizer without a network, and fixtures that write small pictures and videos."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.pipeline import Pipeline
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle
from tests.realtime.fakes import FakeDetector, faces_at


@pytest.fixture(scope="session")
def recognizer() -> Recognizer:
    return Recognizer(fake_bundle(drawn_faces(35, seed=1)))


@pytest.fixture
def told() -> FakeDetector:
    return FakeDetector(faces_at((10, 20, 40, 50), (60, 15, 30, 40)))


@pytest.fixture
def pipeline(told: FakeDetector, recognizer: Recognizer) -> Pipeline:
    return Pipeline(told, recognizer)


@pytest.fixture
def make_picture(tmp_path: Path) -> Callable[..., Path]:
    """Write a picture of one color, blue by default, into the temporary folder."""

    def make(name: str = "blue.png", bgr: tuple[int, int, int] = (255, 0, 0)) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        encoded = cv2.imencode(path.suffix, np.full((60, 80, 3), bgr, np.uint8))[1]
        path.write_bytes(encoded.tobytes())
        return path

    return make


@pytest.fixture
def make_clip(tmp_path: Path) -> Callable[..., Path]:
    """Write a video into the temporary folder; each frame's gray value is 10 times its index."""

    def make(name: str = "clip.avi", frames: int = 6, fps: float = 12.5) -> Path:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), fps, (80, 60))
        for number in range(frames):
            writer.write(np.full((60, 80, 3), 10 * number, np.uint8))
        writer.release()
        return path

    return make
