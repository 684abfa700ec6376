"""The recorder: what it writes, what it withholds, and what survives errors and kills."""

import json
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodspace.realtime.baselines import FaceBaseline
from moodspace.realtime.session.export import export_session
from moodspace.realtime.session.file import DATABASE, SessionError
from moodspace.realtime.session.reading import open_session
from moodspace.realtime.session.recorder import SessionRecorder
from moodspace.sessions import WITHHELD
from tests.realtime.session.recordings import CLASSES, STARTED, group, shows

ROOT = Path(__file__).parents[3]


class Clock:
    def __init__(self, now=STARTED):
        self.now = now

    def __call__(self):
        return self.now


def record(folder, results, *, ends_after=0.0, **settings):
    """Record results as if each came at its own time; return the session."""
    clock = Clock()
    with SessionRecorder(folder, classes=CLASSES, source="camera 0", now=clock, **settings) as recorder:
        for result in results:
            clock.now = STARTED + result.time
            recorder.add(result, clock.now)
        clock.now += ends_after
    return open_session(folder)


def tables(folder):
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in names}


def test_a_second_is_the_mean_over_readable_faces_and_frames(tmp_path):
    first = [[1, 0, 0]] * 4 + [[0, 1, 0]] + [[0, 0, 1]]
    good = [True] * 5 + [False]
    session = record(
        tmp_path,
        [shows(first, time=0.0, good=good, unsure=[4, 5]), group(6, time=0.5, proba=(0, 0, 1)), group(6, time=1.2)],
    )
    rows = session.group
    assert rows.second.tolist() == [0, 1]  # the session begins with its first frame
    assert rows.frames.tolist() == [2, 1] and rows.faces.tolist() == [6, 6] and rows.readable.tolist() == [6, 6]
    # One of five readable faces was unsure in one of two frames: half a face, rounded up. The sixth is unreadable.
    assert rows.unsure.tolist() == [1, 0]
    np.testing.assert_allclose(rows.proba, [[0.4, 0.1, 0.5], [0.5, 0.25, 0.25]], atol=1e-4)
    assert (session.source, session.started, session.classes) == ("camera 0", STARTED, CLASSES)
    assert session.missing == () and session.gaps == () and session.ended is not None


@pytest.mark.parametrize(
    ("result", "min_group", "faces", "readable"),
    [
        (group(0), 5, WITHHELD, WITHHELD),
        (group(4), 5, WITHHELD, WITHHELD),
        (group(5), 5, 5, 5),
        (shows([[1, 0, 0]] * 5, good=[True] * 4 + [False]), 5, 5, WITHHELD),
        (group(1), 1, 1, 1),
        (group(0), 1, WITHHELD, WITHHELD),
        (group(9), 10, WITHHELD, WITHHELD),
    ],
)
def test_small_groups_are_withheld(tmp_path, result, min_group, faces, readable):
    session = record(tmp_path, [result], min_group=min_group)
    assert (session.group.faces.tolist(), session.group.readable.tolist()) == ([faces], [readable])
    withheld = readable == WITHHELD
    assert np.isnan(session.group.proba).all() == withheld and session.group.unsure[0] == (WITHHELD if withheld else 0)
    # The file does not hold it either.
    kept = tables(tmp_path)["seconds"][0][3:7]
    assert kept[1:] == (None, None, None) if withheld else kept[0] == faces
    assert tables(tmp_path)["faces"] == []


def test_one_face_under_many_numbers_is_not_a_group(tmp_path):
    frames = [shows([[1, 0, 0]] * 3, time=at / 10, ids=[3 * at + 1, 3 * at + 2, 3 * at + 3]) for at in range(9)]
    assert record(tmp_path, frames).group.faces.tolist() == [WITHHELD]


def test_small_frames_do_not_go_into_the_mean_of_a_larger_group(tmp_path):
    frames = [group(5, time=0.0, proba=(1, 0, 0)), group(2, time=0.4, proba=(0, 1, 0)), group(2, time=0.8)]
    session = record(tmp_path, frames)
    assert session.group.proba.tolist() == [[1, 0, 0]] and session.group.faces.tolist() == [5]


def test_single_faces_are_kept_only_when_asked_for(tmp_path):
    good = [True, True, False]
    frames = [
        shows([[1, 0, 0], [0, 1, 0], [0.4, 0.3, 0.3]], ids=[2, 7, 9], good=good, unsure=[2]),
        shows([[0, 0, 1], [0, 0, 1]], time=0.5, ids=[2, 9], good=[True, True]),
        shows([[0, 0, 1]], time=1.5, ids=[7]),
    ]
    assert len(record(tmp_path / "group", frames).faces.second) == 0
    session = record(tmp_path / "each", frames, individuals=True)
    faces = session.faces
    assert session.individuals and session.group.faces.tolist() == [WITHHELD] * 2
    assert faces.second.tolist() == [0, 0, 0, 1] and faces.track_ids.tolist() == [2, 7, 9, 7]
    assert faces.shown.tolist() == [2, 1, 2, 2] and faces.readable.tolist() == [True] * 4
    # For face 9, only the frame in which it was readable counts.
    np.testing.assert_allclose(faces.proba, [[0.5, 0, 0.5], [0, 1, 0], [0, 0, 1], [0, 0, 1]], atol=1e-4)
    assert faces.size.tolist() == [40] * 4 and faces.yaw.tolist() == [-10] * 4


def test_an_unreadable_face_is_marked(tmp_path):
    faces = record(tmp_path, [shows([[0.4, 0.3, 0.3]], good=[False], unsure=[0])], individuals=True).faces
    assert (faces.readable.tolist(), faces.shown.tolist()) == ([False], [-1])


def test_nothing_of_a_picture_or_an_embedding_is_kept(tmp_path):
    record(tmp_path, [group(6, time=at / 5) for at in range(20)], individuals=True)
    assert [path.name for path in tmp_path.iterdir()] == [DATABASE]
    values = [value for rows in tables(tmp_path).values() for row in rows for value in row]
    assert not [value for value in values if isinstance(value, bytes)]
    lists = [json.loads(value) for value in values if isinstance(value, str) and value.startswith("[")]
    assert lists and {len(one) for one in lists} == {len(CLASSES)}


def test_new_classes_are_added_and_matched_by_name(tmp_path):
    grown = ("confused", *CLASSES)
    frames = [group(5), shows([[1, 0, 0, 0]] * 5, time=0.5, classes=grown), group(5, time=1.5)]
    frames += [shows([[0.25] * 4] * 5, time=2.5, classes=grown)]
    session = record(tmp_path, frames, individuals=True)
    assert session.classes == (*CLASSES, "confused") and session.since.tolist() == [0, 0, 0, 0]
    expected = [[0.25, 0.125, 0.125, 0.5], [0.5, 0.25, 0.25, 0], [0.25] * 4]
    np.testing.assert_allclose(session.group.proba, expected, atol=1e-4)
    assert session.faces.shown[:5].tolist() == [3] * 5 and session.faces.shown[5:10].tolist() == [0] * 5


def test_a_class_has_a_first_second(tmp_path):
    frames = [group(5), shows([[0, 0, 0, 1]] * 5, time=7.2, classes=(*CLASSES, "confused"))]
    assert record(tmp_path, frames).since.tolist() == [0, 0, 0, 7]


def test_a_session_without_a_frame_opens(tmp_path):
    session = record(tmp_path, [], ends_after=1.0)
    assert len(session.group.second) == len(session.faces.second) == 0 and session.duration == 1.0
    assert session.group.proba.shape == (0, 3) and session.ended == STARTED + 1 and session.gaps == ()


def test_gaps_say_when_and_why(tmp_path):
    clock = Clock()
    with SessionRecorder(tmp_path, classes=CLASSES, source="camera 0", now=clock) as recorder:
        recorder.add(group(5, time=0.0), STARTED)
        recorder.add(group(5, time=10.0), STARTED + 10)
        recorder.interrupt("camera 0 was lost")
        recorder.add(group(5, time=10.5), STARTED + 10.5)
        recorder.add(group(5, time=0.2), STARTED + 14.5)  # found again; its time restarts
        recorder.add(group(5, time=0.4), STARTED + 3614.7)
        recorder.interrupt("camera 0 was lost again")
        clock.now = STARTED + 3624.7
    session = open_session(tmp_path)
    assert [(round(gap.start, 3), round(gap.stop, 3)) for gap in session.gaps] == [
        (0, 10), (10, 10.5), (10.5, 14.5), (14.7, 14.7), (14.7, 24.7)
    ]  # fmt: skip
    reasons = [gap.reason for gap in session.gaps]
    assert reasons[:3] == ["no frames came", "camera 0 was lost", "no frames came"]
    assert "put forward by 3600 s" in reasons[3] and reasons[4] == "camera 0 was lost again"
    assert session.group.second.tolist() == [0, 10, 14] and session.duration == pytest.approx(24.7)


def test_an_error_that_ends_a_session_is_recorded(tmp_path):
    with pytest.raises(OSError), SessionRecorder(tmp_path, classes=CLASSES, source="x") as recorder:
        recorder.add(group(5), time.time())
        raise OSError("camera 0: unplugged")
    session = open_session(tmp_path)
    assert session.missing == ("The recording ended with an error: camera 0: unplugged.",)
    assert session.group.second.tolist() == [0]


def test_ctrl_c_is_an_end_like_any_other(tmp_path):
    with pytest.raises(KeyboardInterrupt), SessionRecorder(tmp_path, classes=CLASSES, source="x") as recorder:
        recorder.add(group(5), time.time())
        raise KeyboardInterrupt
    session = open_session(tmp_path)
    assert session.missing == () and session.ended is not None and session.group.faces.tolist() == [5]


def test_ctrl_c_right_after_a_second_was_written_loses_and_repeats_nothing(tmp_path, monkeypatch):
    commit = SessionRecorder._transaction
    interrupted = []

    @contextmanager
    def transaction(recorder):
        with commit(recorder) as database:
            yield database
        if not interrupted and database.execute("SELECT count(*) FROM seconds").fetchone() == (1,):
            interrupted.append(True)
            raise KeyboardInterrupt

    monkeypatch.setattr(SessionRecorder, "_transaction", transaction)
    first, second = (shows([[1, 0, 0]] * 5, time=time) for time in (0.0, 1.0))
    with pytest.raises(KeyboardInterrupt):
        record(tmp_path, [first, second], individuals=True)
    session = open_session(tmp_path)
    assert interrupted and session.ended is not None
    assert session.group.second.tolist() == [0] and session.group.frames.tolist() == [1]
    assert len(session.faces.second) == 5


def test_a_folder_with_a_session_is_not_recorded_over(tmp_path):
    record(tmp_path, [group(5)])
    with pytest.raises(SessionError, match="name another"), SessionRecorder(tmp_path, classes=CLASSES, source="x"):
        pass
    assert open_session(tmp_path).group.faces.tolist() == [5]


def test_an_unwritable_folder_is_one_error(tmp_path):
    (tmp_path / "file").write_text("no folder")
    with (
        pytest.raises(SessionError, match="expected to record"),
        SessionRecorder(tmp_path / "file" / "in", classes=CLASSES, source="x"),
    ):
        pass


def test_a_full_disk_is_one_error(tmp_path):
    with (
        pytest.raises(SessionError, match=r"expected to record the session, could not \(database or disk is full\)"),
        SessionRecorder(tmp_path, classes=CLASSES, source="x", individuals=True) as recorder,
    ):
        recorder._database.execute("PRAGMA max_page_count = 12")
        for at in range(200):
            recorder.add(group(5, time=float(at)), STARTED + at)
    assert 0 < len(open_session(tmp_path).group.second) < 200


def test_a_session_that_cannot_begin_is_one_error(tmp_path, monkeypatch):
    monkeypatch.setattr("moodspace.realtime.session.recorder.SCHEMA", "no sql")
    with pytest.raises(SessionError, match="could not"), SessionRecorder(tmp_path, classes=CLASSES, source="x"):
        pass


def test_min_group_of_zero_is_refused(tmp_path):
    with pytest.raises(ValueError, match="min_group: expected 1 or more, got 0"):
        SessionRecorder(tmp_path, classes=CLASSES, source="x", min_group=0)


def test_a_session_can_be_read_while_it_is_recorded(tmp_path):
    with SessionRecorder(tmp_path, classes=CLASSES, source="x") as recorder:
        for at in range(4):
            recorder.add(group(5, time=float(at)), STARTED + at)
        session = open_session(tmp_path)
        assert session.group.second.tolist() == [0, 1, 2] and session.ended is None and len(session.missing) == 1


def test_kill_9_loses_at_most_two_seconds(tmp_path):
    folder = tmp_path / "killed"
    command = [sys.executable, "-m", "tests.realtime.session.recordings", str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if float(line) >= 3.4:
                break
        process.send_signal(signal.SIGKILL)
        last = float([line, *process.stdout][-1])
    session = open_session(folder)
    assert session.ended is None and "killed" in session.missing[0]
    assert session.duration >= last - 2 and session.group.second.tolist() == list(range(len(session.group.second)))
    np.testing.assert_allclose(session.group.proba, [[0.5, 0.25, 0.25]] * len(session.group.second), atol=1e-4)


REST = np.array([0.1, 0.8, 0.1], np.float32)


def with_baseline(result, rows):
    """Give the faces in these rows a baseline."""
    found = [FaceBaseline(True, rest=REST) if row in rows else FaceBaseline() for row in range(len(result.faces))]
    return replace(result, baselines=tuple(found))


def test_the_change_from_the_resting_face_is_recorded(tmp_path):
    glad = (0.7, 0.2, 0.1)
    results = [
        with_baseline(group(6, time=0.0, proba=glad), range(6)),
        with_baseline(group(6, time=0.5, proba=REST.tolist()), range(6)),
        with_baseline(group(6, time=1.0, proba=glad), range(4)),  # too few with a baseline
    ]
    session = record(tmp_path, results, individuals=True)
    assert session.group.change[0] == pytest.approx((np.array(glad) - REST) / 2, abs=1e-3)
    assert np.isnan(session.group.change[1]).all() and session.group.recorded.all()
    first, second = (session.faces.change[session.faces.second == one] for one in (0, 1))
    assert first == pytest.approx(np.tile((np.array(glad) - REST) / 2, (6, 1)), abs=1e-3)
    assert np.isnan(second).any(axis=1).tolist() == [False] * 4 + [True] * 2


def test_no_change_of_single_faces_or_small_groups_is_recorded(tmp_path):
    results = [with_baseline(group(4, time=0.0), range(4)), with_baseline(group(6, time=1.0), range(4))]
    record(tmp_path, results)
    kept = tables(tmp_path)
    assert kept["changes"] == kept["face_changes"] == []


def test_a_class_that_was_taught_changes_from_zero(tmp_path):
    taught = shows([(0.1, 0.4, 0.1, 0.4)] * 5, classes=(*CLASSES, "tired"))
    session = record(tmp_path, [with_baseline(taught, range(5))])
    assert session.group.change[0] == pytest.approx([0, -0.4, 0, 0.4], abs=1e-3)


def test_a_session_of_before_there_were_baselines_opens(tmp_path):
    record(tmp_path, [group(6), group(6, time=1.0)], individuals=True)
    with closing(sqlite3.connect(tmp_path / DATABASE)) as connection, connection:
        connection.execute("DROP TABLE changes")
        connection.execute("DROP TABLE face_changes")
    session = open_session(tmp_path)
    assert np.isnan(session.group.change).all() and np.isnan(session.faces.change).all()
    assert session.group.change.shape == session.group.proba.shape


def test_exported_tables_have_the_change_only_where_there_is_one(tmp_path):
    plain = record(tmp_path / "plain", [group(6)], individuals=True)
    based = record(tmp_path / "based", [with_baseline(group(6), range(6)), group(6, time=1.0)], individuals=True)
    for session, has in ((plain, False), (based, True)):
        for path in export_session(session, session.folder / "session.csv"):
            header, *rows = path.read_text().splitlines()
            assert ("change_happy" in header) is has
            if has:
                change = [row.split(",")[header.split(",").index("change_happy")] for row in rows]
                assert change[0] == "0.4" and change[-1] == ""
