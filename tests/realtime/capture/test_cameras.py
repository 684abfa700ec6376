"""A camera that fails is told of and found again; one that hangs is left behind; nobody waits for either at the end."""

import itertools
import math
import threading
import time
from collections.abc import Callable, Sequence

import cv2
import numpy as np
import pytest

from moodspace.realtime.capture.cameras import CameraOptions, LiveSource, reopening_delays
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.capture.newest import NewestFrames
from moodspace.realtime.capture.source import SourceError
from tests.realtime.capture.scripted_cameras import (
    EMPTY,
    HANG,
    RAISE,
    REFUSE,
    WAIT_S,
    ByteArray,
    FakeTime,
    ScriptedCameras,
    picture,
)

Plug = Callable[..., ScriptedCameras]


@pytest.fixture
def plug(monkeypatch: pytest.MonkeyPatch):
    """Puts scripted cameras in the place of OpenCV's and of streams; those that hang go on when the test is over."""
    plugged = []

    def plug(*scripts: Sequence[ByteArray | str] | str, **how: float) -> ScriptedCameras:
        plugged.append(ScriptedCameras(*scripts, **how))
        monkeypatch.setattr(cv2, "VideoCapture", plugged[-1])
        monkeypatch.setattr("moodspace.realtime.capture.cameras.StreamCapture", plugged[-1])
        return plugged[-1]

    yield plug
    for cameras in plugged:
        cameras.let_go.set()


@pytest.fixture
def fake() -> FakeTime:
    return FakeTime()


@pytest.fixture
def told() -> list[str]:
    return []


def camera(fake: FakeTime, told: list[str], **options: float) -> LiveSource:
    wished = CameraOptions(**{"hang_s": WAIT_S, **options})  # type: ignore[arg-type]
    return LiveSource(3, "camera 3", wished, on_event=told.append, clock=fake.clock, wait=fake.wait)


def test_the_wait_doubles_up_to_ten_seconds() -> None:
    assert list(itertools.islice(reopening_delays(), 7)) == [0.5, 1, 2, 4, 8, 10, 10]


def test_a_lost_camera_is_found_again(plug: Plug, fake: FakeTime, told: list[str]) -> None:
    cameras = plug([picture(1), picture(2)], REFUSE, REFUSE, [picture(3)])
    with camera(fake, told) as source:
        frames = list(itertools.islice(source, 3))
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert [frame.bgr[0, 1, 0] for frame in frames] == [1, 2, 3]
    assert [frame.time for frame in frames] == [0, 0, 3.5]
    assert fake.waited == [0.5, 1, 2]
    assert told == [
        "camera 3 is lost: expected frames, got none after 2; trying to reopen it",
        "camera 3 is back after 3.5 s",
    ]
    assert all(capture.released.wait(WAIT_S) for capture in cameras.opened)


def test_each_loss_begins_with_a_short_wait(plug: Plug, fake: FakeTime, told: list[str]) -> None:
    plug([picture()], REFUSE, [picture()], [picture()])
    with camera(fake, told) as source:
        assert len(list(itertools.islice(source, 3))) == 3
    assert fake.waited == [0.5, 1, 0.5]


def test_a_camera_that_opens_and_gives_nothing_is_not_back(plug: Plug, fake: FakeTime, told: list[str]) -> None:
    plug([picture()], [], [EMPTY], [picture()])
    with camera(fake, told) as source:
        assert len(list(itertools.islice(source, 2))) == 2
    assert fake.waited == [0.5, 1, 2]
    assert len(told) == 2


@pytest.mark.parametrize("failure", [[], [EMPTY], [RAISE]])
def test_every_way_to_fail_is_a_loss(plug: Plug, fake: FakeTime, told: list[str], failure: list[str]) -> None:
    plug([picture(1), *failure], [picture(2)])
    with camera(fake, told) as source:
        assert [frame.bgr[0, 1, 0] for frame in itertools.islice(source, 2)] == [1, 2]


def test_a_camera_that_hangs_is_left_behind(plug: Plug, fake: FakeTime, told: list[str]) -> None:
    cameras = plug([picture(1), HANG, picture(8), picture(9)], [picture(2)])
    with camera(fake, told, hang_s=0.05) as source:
        assert [frame.bgr[0, 1, 0] for frame in itertools.islice(source, 2)] == [1, 2]
        assert told[0] == "camera 3 is lost: expected frames, got none for 0.05 s; trying to reopen it"
        assert not cameras.opened[0].released.is_set()
        cameras.let_go.set()
        assert cameras.opened[0].released.wait(WAIT_S)


def test_a_camera_may_come_back_with_another_size(plug: Plug, fake: FakeTime, told: list[str]) -> None:
    plug([picture()], [picture(width=16, height=12)])
    with camera(fake, told) as source:
        assert [frame.bgr.shape for frame in itertools.islice(source, 2)] == [(6, 8, 3), (12, 16, 3)]


def test_the_limit_ends_the_search(plug: Plug, fake: FakeTime, told: list[str]) -> None:
    plug([picture()])
    with camera(fake, told, regain_s=20) as source, pytest.raises(SourceError, match="it back within 20 s, it is not"):
        list(source)
    assert sum(fake.waited) == 25.5


def test_without_a_second_try_a_loss_is_an_error(plug: Plug, fake: FakeTime, told: list[str]) -> None:
    plug([picture()], [picture()])
    with (
        camera(fake, told, regain_s=0) as source,
        pytest.raises(SourceError, match="got none after 1; is it plug"),
    ):
        list(source)
    assert told == []


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (REFUSE, "expected a camera, got none that can be opened"),
        ([], "expected frames, got none after 0"),
        ([HANG], "expected frames, got none for 0.05 s"),
    ],
)
def test_a_camera_that_never_worked_is_an_error_at_once(
    plug: Plug, fake: FakeTime, told: list[str], script: list[str] | str, message: str
) -> None:
    cameras = plug(script, [picture()])
    with pytest.raises(SourceError, match=message), camera(fake, told, hang_s=0.05) as source:
        list(source)
    assert fake.waited == []
    cameras.let_go.set()
    assert cameras.opened[0].released.wait(WAIT_S)
    assert len(cameras.opened) == 1


def test_the_wishes_reach_the_camera_compressed_first(plug: Plug, told: list[str]) -> None:
    cameras = plug([picture()])
    with open_source("3", options=CameraOptions(1280, 720, 30), on_event=told.append):
        settings = cameras.opened[0].settings
        assert settings[cv2.CAP_PROP_FRAME_WIDTH] == 1280
        assert settings[cv2.CAP_PROP_FRAME_HEIGHT] == 720
        assert settings[cv2.CAP_PROP_FPS] == 30
        order = list(settings)
        assert order.index(cv2.CAP_PROP_FOURCC) < order.index(cv2.CAP_PROP_FRAME_WIDTH)
    assert told == []


def test_what_came_instead_of_a_wish_is_told(plug: Plug, told: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    cameras = plug([picture()])
    stated = {cv2.CAP_PROP_FRAME_WIDTH: 640.0, cv2.CAP_PROP_FRAME_HEIGHT: 480.0, cv2.CAP_PROP_FPS: 30.0}
    monkeypatch.setattr(
        "tests.realtime.capture.scripted_cameras.ScriptedCapture.get", lambda _, what: stated.get(what, 0.0)
    )
    with open_source("3", options=CameraOptions(width=1280, fps=30), on_event=told.append):
        assert cameras.opened
    assert told == ["camera 3: expected 1280 x any at 30 frames a second, got 640 x 480 at 30; going on with that"]


def test_nothing_is_set_without_a_wish(plug: Plug) -> None:
    cameras = plug([picture()])
    with open_source("3", options=CameraOptions()):
        assert set(cameras.opened[0].settings) == {cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_BUFFERSIZE}


@pytest.mark.parametrize(
    ("spec", "options", "mirrored"),
    [
        ("0", CameraOptions(), True),
        ("0", CameraOptions(mirror=False), False),
        ("0", None, False),
        ("rtsp://host/live", CameraOptions(), False),
        ("rtsp://host/live", CameraOptions(mirror=True), True),
    ],
)
def test_a_webcam_is_a_mirror(plug: Plug, spec: str, options: CameraOptions | None, mirrored: bool) -> None:
    plug([picture()])
    with open_source(spec, options=options) as source:
        bgr = next(iter(source)).bgr
    assert bgr[0, -1 if mirrored else 0].tolist() == [255, 255, 255]
    assert bgr.flags.c_contiguous


def test_a_video_at_an_address_has_an_end(plug: Plug, told: list[str]) -> None:
    plug([picture(1), picture(2)], [picture(3)], frame_count=2)
    with open_source("https://host/clip.mp4", options=CameraOptions(), on_event=told.append) as source:
        assert not source.live
        assert [frame.time for frame in source] == [0, 0.04]
    assert told == []


def test_a_stream_that_ends_is_found_again(plug: Plug, fake: FakeTime, told: list[str]) -> None:
    plug([picture(1)], [picture(2)])
    source = LiveSource(
        "rtsp://host/live", "the door", CameraOptions(), on_event=told.append, clock=fake.clock, wait=fake.wait
    )
    with source:
        assert [frame.bgr[0, 1, 0] for frame in itertools.islice(source, 2)] == [1, 2]
    assert told[0].startswith("the door is lost")


@pytest.mark.parametrize("second", [REFUSE, HANG, [HANG]])
def test_leaving_waits_for_nobody(plug: Plug, second: list[str] | str) -> None:
    """While it waits to try again, while the camera hangs as it is opened, and while it hangs as it is read."""
    delays = (lambda: iter([2 * WAIT_S])) if second == REFUSE else None
    cameras = plug([picture()], second)
    lost = threading.Event()
    source = LiveSource(0, "camera 0", CameraOptions(), on_event=lambda _: lost.set(), delays=delays)
    with NewestFrames(source) as frames:
        assert frames.latest(WAIT_S) is not None
        assert (lost if second == REFUSE else cameras.hanging).wait(WAIT_S)
        left = time.monotonic()
    assert time.monotonic() - left < WAIT_S / 2


def test_a_camera_that_comes_back_too_late_is_not_shown(plug: Plug, fake: FakeTime, told: list[str]) -> None:
    """Somebody leaves just when the camera is to be tried again."""
    cameras = plug([picture()], [picture()] * 9)

    def leave(seconds: float) -> bool:
        source.stop()
        return False

    source = LiveSource(3, "camera 3", CameraOptions(), on_event=told.append, clock=fake.clock, wait=leave)
    with source:
        assert len(list(source)) == 1
    assert len(told) == 1
    assert all(capture.released.wait(WAIT_S) for capture in cameras.opened)


def test_the_camera_is_released_at_the_end(plug: Plug) -> None:
    cameras = plug([picture()] * 50)
    with open_source("0") as source:
        next(iter(source))
    assert cameras.opened[0].released.is_set()
    assert cameras.opened[0].script, "expected that it is not read to its end"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"width": 0}, "width: expected a number above 0, got 0"),
        ({"fps": math.nan}, "fps: expected a number above 0, got nan"),
        ({"hang_s": -1}, "hang_s: expected a number above 0, got -1"),
        ({"regain_s": -1}, "regain_s: expected 0 seconds or more, got -1"),
    ],
)
def test_wishes_that_make_no_sense(wrong: dict[str, float], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        CameraOptions(**wrong)  # type: ignore[arg-type]


def test_files_are_mirrored_only_when_asked(tmp_path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(cv2.imencode(".png", picture())[1].tobytes())
    for options, column in ((None, 0), (CameraOptions(), 0), (CameraOptions(mirror=True), -1)):
        with open_source(str(path), options=options) as source:
            [frame] = source
        assert np.all(frame.bgr[:, column] == 255)
