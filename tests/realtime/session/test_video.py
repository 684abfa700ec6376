"""The annotated video of a session."""

import cv2
import numpy as np
import pytest

from moodspace.realtime.session.recording import SessionVideo
from tests.realtime.session.recordings import group


def frames_of(path):
    capture = cv2.VideoCapture(str(path))
    assert capture.isOpened()
    seen = []
    while (read := capture.read())[0]:
        seen.append(read[1])
    capture.release()
    return seen


def record(folder, times, sizes=((80, 60),)):
    with SessionVideo(folder, fps=10) as video:
        for number, time in enumerate(times):
            width, height = sizes[number % len(sizes)]
            video.add(np.full((height, width, 3), 40 * number, np.uint8), group(0, time=time))
    return frames_of(folder / "session.mp4")


def test_an_uneven_source_makes_an_even_video(tmp_path):
    seen = record(tmp_path, [0.0, 0.5, 0.52, 0.54, 1.0])
    # 0.5 s of the first frame, then the frame due at each step until 1.0, then the last frame.
    assert len(seen) == 11
    levels = [round(float(frame.mean()) / 40) for frame in seen]
    assert levels[:5] == [0] * 5 and levels[-1] == 4 and levels == sorted(levels)


def test_gaps_and_new_beginnings_are_left_out(tmp_path):
    assert len(record(tmp_path, [0.0, 0.1, 99.0, 0.0, 0.1])) == 5


def test_a_camera_that_comes_back_with_another_size_goes_on(tmp_path):
    assert {frame.shape for frame in record(tmp_path, [0.0, 0.1, 0.2], ((80, 60), (160, 120)))} == {(60, 80, 3)}


def test_without_a_frame_there_is_no_video(tmp_path):
    with SessionVideo(tmp_path):
        pass
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("ends", [KeyboardInterrupt, OSError])
def test_what_ends_the_session_leaves_the_video(tmp_path, ends):
    with pytest.raises(ends), SessionVideo(tmp_path, fps=10) as video:
        for number in range(3):
            video.add(np.zeros((60, 80, 3), np.uint8), group(0, time=number / 10))
        raise ends
    assert len(frames_of(tmp_path / "session.mp4")) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["session.mp4"]


def test_faces_are_drawn(tmp_path):
    with SessionVideo(tmp_path, fps=10) as video:
        video.add(np.zeros((120, 160, 3), np.uint8), group(1))
    assert max(frame.max() for frame in frames_of(tmp_path / "session.mp4")) > 100
