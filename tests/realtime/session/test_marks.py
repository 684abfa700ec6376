"""Marked events: they lie where they happened, to the frame, survive a kill, and are read from tables of times."""

import os
import signal
import sqlite3
import subprocess
import sys
import threading
from contextlib import closing
from pathlib import Path

import pytest

from moodspace.realtime.session.file import DATABASE, SessionError
from moodspace.realtime.session.marks import mark_name, read_marks
from moodspace.realtime.session.reading import open_session
from moodspace.realtime.session.recorder import SessionClock, SessionRecorder
from moodspace.sessions import Mark
from tests.realtime.session.recordings import CLASSES, STARTED, group

ROOT = Path(__file__).parents[3]
FRAME_S = 1 / 30


class Camera:
    """A camera at 30 frames per second whose frames are worked on for a while before they are recorded.

    The recorder's clock reads `now`; frame k was captured at `captured(k)`.
    """

    def __init__(self, recorder: SessionRecorder, latency: float) -> None:
        self.recorder, self.latency, self.at = recorder, latency, 0

    @staticmethod
    def captured(k: int) -> float:
        return STARTED + 0.4 + k * FRAME_S  # opening it took 0.4 s

    def run(self, seconds: float) -> None:
        for _ in range(round(seconds / FRAME_S)):
            self.recorder.add(group(5, time=self.at * FRAME_S), self.captured(self.at))
            self.at += 1

    @property
    def now(self) -> float:
        return self.captured(self.at - 1) + self.latency


@pytest.mark.parametrize("latency", [0.0, 0.02, 0.15, 0.6])
def test_a_mark_lies_within_a_frame_of_the_event_however_late_frames_are_recorded(tmp_path, latency):
    with SessionRecorder(tmp_path, classes=CLASSES, source="camera 0", now=lambda: STARTED) as recorder:
        camera = Camera(recorder, latency)
        errors = []
        for k in range(40):
            camera.run(0.37)
            happened = camera.now - (0.0, 0.25, 3.0)[k % 3]  # now, while the name was typed, told by another program
            made = recorder.mark(f"event {k}", "window", happened)
            # In the session, the frame captured at that moment has this time.
            errors.append(abs(made.time - max(happened - camera.captured(0), 0.0)))
    assert max(errors) <= FRAME_S / 10
    session = open_session(tmp_path)
    assert len(session.marks) == 40 and all(one.source == "window" for one in session.marks)
    assert [one.time for one in session.marks] == sorted(one.time for one in session.marks)
    # What was marked then is found again later from its unix time.
    for wall in (camera.captured(0), camera.captured(100), camera.captured(333) + 0.01):
        assert session.time_of(wall) == pytest.approx(wall - camera.captured(0), abs=FRAME_S)


def test_a_mark_in_a_paused_file_lies_at_the_frame_that_was_shown(tmp_path):
    with SessionRecorder(tmp_path, classes=CLASSES, source="a.mp4", live=False, now=lambda: STARTED) as recorder:
        for k in range(10):
            recorder.add(group(5, time=k * 0.04), STARTED + k * 0.04)
        assert recorder.mark("paused", "window", STARTED + 100).time == pytest.approx(0.36)
        recorder.add(group(5, time=0.40), STARTED + 200)
        assert recorder.mark("before", "window", STARTED + 150).time == pytest.approx(0.38, abs=0.02)


def test_while_the_camera_is_lost_time_goes_on():
    clock = SessionClock(STARTED)
    for k in range(10):
        clock.advance(k * 0.1, STARTED + k * 0.1)
    assert clock.position_at(STARTED + 5.9) == pytest.approx(5.9)
    clock.advance(20.0, STARTED + 20.0)
    assert clock.position_at(STARTED + 10.0) == pytest.approx(10.0)


def test_a_clock_that_is_set_keeps_marks_in_the_session():
    clock = SessionClock(STARTED)
    clock.advance(0.0, STARTED)
    clock.advance(0.1, STARTED + 3600.1)
    assert 0 <= clock.position_at(STARTED + 1800) <= 0.1
    clock.advance(0.2, STARTED + 5.0)  # and back
    assert clock.position_at(STARTED + 5.05) == pytest.approx(0.25)
    assert clock.position_at(STARTED - 50) == 0


def test_few_frames_are_remembered_at_an_even_pace():
    clock = SessionClock(STARTED)
    for k in range(100_000):
        clock.advance(k / 30, STARTED + k / 30)
    assert len(clock._anchors) < 10


def test_threads_mark_while_frames_come(tmp_path):
    with SessionRecorder(tmp_path, classes=CLASSES, source="camera 0", now=lambda: STARTED + 1) as recorder:
        threads = [threading.Thread(target=lambda: [recorder.mark("x", "lsl") for _ in range(20)]) for _ in range(3)]
        for thread in threads:
            thread.start()
        for k in range(50):
            recorder.add(group(5, time=k * 0.1), STARTED + k * 0.1)
        for thread in threads:
            thread.join()
    assert len(open_session(tmp_path).marks) == 60


def test_a_killed_recording_keeps_its_marks(tmp_path):
    script = (
        "import os, time, sys\nfrom pathlib import Path\n"
        "from moodspace.realtime.session.recorder import SessionRecorder\n"
        "from tests.realtime.session.recordings import CLASSES, group\n"
        "with SessionRecorder(Path(sys.argv[1]), classes=CLASSES, source='camera 0') as recorder:\n"
        "    recorder.add(group(5, time=0.0), time.time())\n    recorder.mark('stimulus', 'window')\n"
        "    print('marked', flush=True)\n    time.sleep(60)\n"
    )
    with subprocess.Popen([sys.executable, "-c", script, tmp_path], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"marked\n"
        os.kill(process.pid, signal.SIGKILL)
    (mark,) = open_session(tmp_path).marks
    assert mark.name == "stimulus" and mark.time < 2


def test_sessions_of_earlier_programs_have_none(tmp_path):
    with SessionRecorder(tmp_path, classes=CLASSES, source="camera 0", now=lambda: STARTED) as recorder:
        for k in range(30):
            recorder.add(group(5, time=k * 0.1), STARTED + k * 0.1)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection, connection:
        connection.execute("DROP TABLE marks")
        connection.execute("ALTER TABLE seconds DROP COLUMN start")
    session = open_session(tmp_path)
    assert session.marks == () and session.time_of(STARTED + 2.5) == pytest.approx(2.5)


@pytest.mark.parametrize("name", ["", "  ", "x" * 81, "a\x00b", None, 3, ["a"]])
def test_names_that_cannot_be_used_are_refused(tmp_path, name):
    with pytest.raises(ValueError, match="name: expected"):
        mark_name(name)
    recorder = SessionRecorder(tmp_path, classes=CLASSES, source="camera 0", now=lambda: STARTED)
    with recorder, pytest.raises(ValueError, match="name: expected"):
        recorder.mark(name, "http")
    assert open_session(tmp_path).marks == ()


def test_too_many_marks_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr("moodspace.realtime.session.recorder._MAX_MARKS", 2)
    with SessionRecorder(tmp_path, classes=CLASSES, source="camera 0", now=lambda: STARTED) as recorder:
        recorder.mark("a", "http"), recorder.mark("b", "http")
        with pytest.raises(SessionError, match="at most 2 marks"):
            recorder.mark("c", "http")


@pytest.fixture(scope="module")
def session(tmp_path_factory):
    folder = tmp_path_factory.mktemp("session")
    with SessionRecorder(folder, classes=CLASSES, source="camera 0", now=lambda: STARTED) as recorder:
        for k in range(61):
            recorder.add(group(5, time=k * 1.0), STARTED + 0.5 + k)
    return open_session(folder)


# STARTED is 2026-09-21T14:13:20Z; the first frame came half a second later.
@pytest.mark.parametrize(
    ("text", "time"),
    [
        ("time,name\n12.5,go\n", 12.5),
        ("\ufefftime,name\r\n12.5,go\r\n", 12.5),
        ("time;name\n12,5;go\n", 12.5),
        ("time\tname\n12,5\tgo\n", 12.5),
        ('"Name","kind","TIME"\n\n"go","x","12,5"\n', 12.5),
        ("time,name\n2026-09-21T14:13:33Z,go\n", 12.5),
        ("time,name\n2026-09-21 16:13:33.250+02:00,go\n", 12.75),
        ("time;name\n2026-09-21T14:13:33,250Z;go\n", 12.75),
    ],
)
def test_tables_of_times_are_read_as_programs_write_them(tmp_path, session, text, time):
    path = tmp_path / "times.csv"
    path.write_text(text, encoding="utf-8", newline="")
    assert read_marks(path, session) == (Mark(time, "go", "file"),)
    path.write_text(text.removeprefix("\ufeff"), encoding="utf-16", newline="")
    assert read_marks(path, session) == (Mark(time, "go", "file"),)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "got an empty file"),
        ("onset,label\n1,go\n", "expected one column 'time'"),
        ("time,name,time\n1,go,2\n", "expected one column 'time'"),
        ("time,name\n1,5,go\n", "line 2: expected decimal points"),
        ("time,name\n\n1\n", "line 3: expected a time and a name, got 1 column"),
        ("time,name\n1,\n", "line 2: name: expected a name"),
        ("time,name\nsoon,go\n", "line 2: time: expected seconds, or a date"),
        ("time,name\n2026-09-21,go\n", "line 2: time: expected a date with a time of day"),
        ("time,name\nnan,go\n", "line 2: time: expected a finite number"),
        ("time,name\n1,go\n600,go\n", "line 3: expected a time within the session of 61 s, got 600"),
        ("time,name\n2025-09-21T14:13:33Z,go\n", "line 2: expected a time within the session"),
    ],
)
def test_other_tables_are_refused_in_one_line(tmp_path, session, text, words):
    path = tmp_path / "times.csv"
    path.write_text(text)
    with pytest.raises(ValueError) as refused:
        read_marks(path, session)
    assert words in str(refused.value) and str(path) in str(refused.value) and "\n" not in str(refused.value)


def test_other_files_are_refused(tmp_path, session):
    (tmp_path / "a.csv").write_bytes(b"time,name\n1,\xff\xfa\x80\n")
    with pytest.raises(ValueError, match="save it as CSV UTF-8"):
        read_marks(tmp_path / "a.csv", session)
    with pytest.raises(OSError, match="directory"):
        read_marks(tmp_path, session)
