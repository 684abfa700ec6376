"""What a recording reports as its state, for the window and the command line."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodspace.realtime.capture.source import Frame
from moodspace.realtime.session.reading import open_session
from moodspace.realtime.session.recording import Recording, RecordingOptions, recording_words
from moodspace.realtime.window.state import RECORDING
from tests.realtime.session.recordings import CLASSES, STARTED, group, shows

FRAME = Frame("clip", 0, 0.0, np.zeros((64, 64, 3), np.uint8), 30.0)


@pytest.mark.parametrize(
    ("readable", "in_view", "least", "words"),
    [
        (5, 5, 5, RECORDING),
        (6, 9, 5, RECORDING),
        (1, 1, 5, "waiting for 5 faces, 1 in view"),
        (0, 0, 5, "waiting for 5 faces, 0 in view"),
        (3, 6, 5, "waiting for 5 readable faces, 3 of 6 in view"),
        (0, 0, 1, "waiting for 1 face, 0 in view"),
        (0, 2, 1, "waiting for 1 readable face, 0 of 2 in view"),
    ],
)
def test_recording_words(readable: int, in_view: int, least: int, words: str) -> None:
    assert recording_words(readable, in_view, least) == words


def record_states(folder: Path, faces: list[tuple[float, int]], **options: bool | int) -> tuple[list[str], bool]:
    """Return the state after each frame of n faces at a second, and whether anything was recorded."""
    states = []
    with Recording(RecordingOptions(folder, **options), CLASSES, "clip") as recording:  # type: ignore[arg-type]
        for at, n in faces:
            recording.add(FRAME, group(n, time=at))
            states.append(recording.state())
        return states, recording.kept


def test_one_face_is_too_few_by_default(tmp_path: Path) -> None:
    states, kept = record_states(tmp_path, [(0.0, 1), (0.5, 1), (1.5, 0)])
    assert states == ["waiting for 5 faces, 1 in view"] * 2 + ["waiting for 5 faces, 0 in view"]
    assert not kept


def test_a_second_with_enough_faces_in_any_frame_is_recorded(tmp_path: Path) -> None:
    states, kept = record_states(tmp_path, [(0.0, 4), (0.1, 5), (0.2, 4), (1.0, 4), (1.2, 4)])
    waiting = "waiting for 5 faces, 4 in view"
    assert states == [waiting, RECORDING, RECORDING, RECORDING, waiting]
    assert kept


def test_unreadable_faces_do_not_count(tmp_path: Path) -> None:
    with Recording(RecordingOptions(tmp_path), CLASSES, "clip") as recording:
        recording.add(FRAME, shows([(0.5, 0.25, 0.25)] * 6, good=[True] * 4 + [False] * 2))
        assert recording.state() == "waiting for 5 readable faces, 4 of 6 in view"


@pytest.mark.parametrize("options", [{"individuals": True}, {"min_group": 1}])
def test_single_faces_are_recorded_when_asked_for(tmp_path: Path, options: dict[str, bool | int]) -> None:
    assert record_states(tmp_path, [(0.0, 1)], **options) == ([RECORDING], True)


@pytest.mark.parametrize("is_live", [True, False])
def test_marks_follow_the_capture_of_a_camera_and_the_showing_of_a_file(tmp_path: Path, is_live: bool) -> None:
    """Frames are captured at 10 per second and recorded 0.7 s later, as after slow work; an event comes in between."""
    now = [STARTED]
    with Recording(RecordingOptions(tmp_path), CLASSES, "a", lambda: now[0], live=is_live) as recording:
        for k in range(20):
            captured = STARTED + 0.1 * k
            now[0] = captured + 0.7
            frame = replace(FRAME, index=k, time=0.1 * k, captured=captured)
            recording.add(frame, group(5, time=0.1 * k))
        mark = recording.mark("joke", "window", STARTED + 1.55)
    # A camera's frame of that moment has the time 1.55. Of the file, the frame of 0.8 was shown then.
    assert mark.time == pytest.approx(1.55 if is_live else 0.85, abs=0.1)
    assert open_session(recording.folder).marks == (mark,)
