"""The benchmark times the stages, makes a montage of 16 faces and takes medians."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks.session.live import PARTS, median, montage, run, table
from moodspace.classifier.recognizer import Recognizer
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle
from tests.realtime.tracking.scenes import PEOPLE, Person, Scene, still, times


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(fake_bundle(drawn_faces(35, seed=1)))


def test_a_run_has_the_time_of_every_stage_and_counts_ids(recognizer: Recognizer) -> None:
    scene = Scene([Person(PEOPLE[0], still(100, 100)), Person(PEOPLE[1], still(300, 100))])
    found = run(((now, scene.frame(now)) for now in times(0.5)), scene, recognizer)
    document = found.to_json()
    assert (document["frames"], document["faces"], document["ids"]) == (15, {"median": 2.0, "most": 2}, 2)
    assert tuple(document["stages_ms"]) == PARTS
    assert document["frames_a_second"] == pytest.approx(15 / found.seconds, abs=0.1)
    assert sum(values.sum() for values in found.ms.values()) == pytest.approx(1000 * found.seconds, rel=0.2)
    ran = found.ms["detect"][found.ms["detect"] > 0]
    assert len(ran) == len(scene.calls) < 15
    assert document["stages_ms"]["detect"]["p50"] == pytest.approx(np.median(ran), abs=0.01)


@pytest.mark.parametrize(("faces", "side"), [(1, 4), (4, 2), (16, 1)])
def test_a_montage_has_the_clip_side_by_side_at_other_times(tmp_path: Path, faces: int, side: int) -> None:
    clip = tmp_path / "clip.avi"
    writer = cv2.VideoWriter(str(clip), cv2.VideoWriter.fourcc(*"MJPG"), 10, (160, 90))
    for number in range(20):
        writer.write(np.full((90, 160, 3), 10 * number, np.uint8))
    writer.release()
    frames = montage(clip, faces)
    now, frame = list(frames())[3]
    assert (frame.shape, now) == ((720, 1280, 3), pytest.approx(0.3))
    tiles = frame.reshape(side, 720 // side, side, 1280 // side, 3).mean(axis=(1, 3, 4)).ravel()
    expected = [10 * ((3 + 20 * number // side**2) % 20) for number in range(side**2)]
    assert tiles == pytest.approx(expected, abs=3)
    assert len(list(frames())) == 20


def test_rounds_are_joined_by_their_medians() -> None:
    rounds = [{"a": value, "b": {"c": 10 * value}} for value in (1.0, 5.0, 2.0)]
    assert median(rounds) == {"a": 2.0, "b": {"c": 20.0}}


def test_the_table_has_a_line_for_the_clip_and_one_for_the_montage() -> None:
    block = {
        "stages_ms": {part: {"p50": 1.0, "p95": 2.0, "mean": 1.5} for part in PARTS},
        "frames_a_second": 41.0,
        "faces": {"median": 4.0, "most": 4},
        "ids": 4,
    }
    shown = table({"clip": "four.mp4", **block, "labels": {"missed": 0}, "first_labelled_s": 1.2, "montage": block})
    assert "| four.mp4 | 1.0 / 2.0 (1.5) |" in shown
    assert "| 16 faces at 1280x720 |" in shown
    assert "41.0 | 4 | 4 |" in shown
    assert "first labeled frame after 1.2 s" in shown
