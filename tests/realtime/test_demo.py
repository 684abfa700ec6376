"""The demo finds its face, writes a picture and a clip that play, and frames it as it should."""

import itertools
from pathlib import Path

import cv2
import numpy as np
import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.detectors import CenterFace
from moodspace.embeddings.detection.faces import Faces
from moodspace.realtime import demo
from moodspace.realtime.capture.source import SourceError
from moodspace.realtime.pipeline import Pipeline
from tests.realtime.fakes import FakeDetector, noise, read, resized


def test_the_demo_writes_picture_and_clip(tmp_path: Path, recognizer: Recognizer) -> None:
    made = demo.run_demo(Pipeline(CenterFace(working_sizes=(320,)), recognizer), tmp_path / "new" / "folder")
    assert len(made.result.faces) == 1
    assert made.source == demo.picture_path()
    drawn, original = read(made.picture), read(made.source)
    assert drawn.shape == original.shape
    assert 0 < (drawn != original).any(axis=2).mean() < 0.1
    capture = cv2.VideoCapture(str(made.clip))
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == made.frames
    assert 3 <= made.frames / capture.get(cv2.CAP_PROP_FPS) <= 4
    assert sorted(path.name for path in made.picture.parent.iterdir()) == ["astronaut.mp4", "astronaut.png"]


def test_the_label_is_told_before_anything_is_drawn(tmp_path: Path, told: FakeDetector, recognizer: Recognizer) -> None:
    folder, heard = tmp_path / "demo", []
    made = demo.run_demo(
        Pipeline(told, recognizer), folder, on_result=lambda result: heard.append((result, folder.exists()))
    )
    assert heard == [(made.result, False)]


def test_every_frame_of_the_clip_goes_through_the_pipeline(
    tmp_path: Path, told: FakeDetector, recognizer: Recognizer
) -> None:
    made = demo.run_demo(Pipeline(told, recognizer), tmp_path)
    assert told.calls == made.frames + 1


def test_the_pan_goes_from_the_whole_picture_to_the_face() -> None:
    picture = resized(noise(30, 40), 10)
    cv2.rectangle(picture, (300, 40), (340, 90), (255, 255, 255), cv2.FILLED)
    frames = list(demo.panning_frames(picture, np.array([300, 40, 40, 50], np.float32)))
    whole = cv2.resize(picture[:, 50:350], (480, 480), interpolation=cv2.INTER_LINEAR)
    assert np.abs(frames[0].astype(int) - whole).mean() < 2
    share = [(frame == 255).all(axis=2).mean() for frame in frames]
    assert share[-1] > 3 * share[0]
    assert all(later > earlier - 0.005 for earlier, later in itertools.pairwise(share))


def test_a_detector_that_finds_nothing_is_an_error(tmp_path: Path, recognizer: Recognizer) -> None:
    with pytest.raises(SourceError, match="expected a face, got none"):
        demo.run_demo(Pipeline(FakeDetector(Faces.empty()), recognizer), tmp_path)


def test_the_picture_ships_with_the_package() -> None:
    picture = read(demo.picture_path())
    assert picture.shape == (512, 512, 3)
