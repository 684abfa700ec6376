"""Recordings of live sessions: what is kept while a visitor records, and when it is gone."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import numpy as np
import pytest

from moodspace.realtime.session.file import SessionError
from moodspace.sessions import WITHHELD
from moodspace.web.server import recording as recordings
from moodspace.web.server.recording import Recording
from moodspace.web.server.visitors import Visitor
from tests.realtime.session.recordings import CLASSES, group


@pytest.fixture(autouse=True)
def folder(tmp_path, monkeypatch):
    """The only place where anything may be written."""
    path = tmp_path / "session"

    def private():
        path.mkdir()
        return path

    monkeypatch.setattr(recordings, "private_folder", private)
    return path


@pytest.fixture
def visitor():
    """A visitor as far as recordings go."""

    class Recorder(SimpleNamespace):
        start_recording, stop_recording = Visitor.start_recording, Visitor.stop_recording
        discard_recording = Visitor.discard_recording

    return Recorder(lock=threading.RLock(), recording=None, classes=CLASSES)


def add(session, *times, faces=5):
    began = time.time()
    for at in times:
        session.add(group(faces, time=at), began + at)


def test_what_a_group_shows_is_kept_from_whatever_thread_it_comes(visitor):
    visitor.start_recording(min_group=2)
    session, began = visitor.recording, time.time()
    with ThreadPoolExecutor(3) as threads:  # a frame each, as the engine's
        for at in (0.0, 0.5, 1.0, 2.0, 3.0):
            threads.submit(session.add, group(2, time=at), began + at).result()
    assert session.read().group.second.tolist() == [0, 1, 2]  # as it runs
    visitor.stop_recording()
    read = session.read()
    assert read.group.second.tolist() == [0, 1, 2, 3] and read.ended is not None and read.missing == ()
    np.testing.assert_allclose(read.group.proba[0], [0.5, 0.25, 0.25])
    assert not read.individuals and len(read.faces.second) == 0


def test_nothing_is_kept_of_fewer_faces_than_the_visitor_chose(visitor):
    visitor.start_recording(min_group=5)
    add(visitor.recording, 0.0, 1.0, faces=4)
    visitor.stop_recording()
    group_seen = visitor.recording.read().group
    assert group_seen.faces.tolist() == [WITHHELD] * 2 and np.isnan(group_seen.proba).all()


def test_recording_goes_on_when_it_is_asked_for_twice_and_after_it_ended_waits_for_the_visitor(visitor):
    visitor.start_recording(min_group=1)
    first = visitor.recording
    visitor.start_recording(min_group=5)  # as after a lost connection
    assert visitor.recording is first and first.min_group == 1 and first.running
    visitor.stop_recording()
    add(first, 0.0, 1.0)
    assert len(first.read().group.second) == 0 and not first.running
    with pytest.raises(SessionError, match="still on the Session page"):
        visitor.start_recording(min_group=1)
    visitor.discard_recording()
    visitor.start_recording(min_group=1)
    assert visitor.recording is not first


def test_what_is_discarded_is_gone_though_frames_still_come(visitor, folder):
    visitor.start_recording(min_group=1)
    session = visitor.recording
    add(session, 0.0, 1.1)
    visitor.discard_recording()
    assert visitor.recording is None and not folder.exists()
    add(session, 2.0, 3.0)
    visitor.stop_recording()
    visitor.discard_recording()
    with pytest.raises(SessionError):
        session.read()


def test_a_recording_that_nobody_ends_ends_by_itself():
    session = Recording(CLASSES, 1, longest=10.0)
    add(session, 0.0, 9.0)
    assert session.running
    add(session, 11.0)
    assert not session.running and session.read().ended is not None


def test_a_recording_that_cannot_be_kept_ends_and_stays_readable(monkeypatch, caplog):
    session = Recording(CLASSES, 1)
    add(session, 0.0, 1.1)

    def full(*_):
        raise SessionError("no space left")

    monkeypatch.setattr(session._recorder, "_write_second", full)
    add(session, 2.2)
    assert not session.running and "no space left" in caplog.text
    assert session.read().group.second.tolist() == [0]


def test_where_nothing_can_be_written_nothing_is_left(monkeypatch, folder):
    with pytest.raises(ValueError, match="min_group"):
        Recording(CLASSES, 0)
    assert not folder.exists()
