"""Which files are sessions, and that only sessions are deleted."""

import logging
import os
import signal
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from moodspace.realtime.session.file import (
    DATABASE,
    OWN_FILES,
    SessionError,
    database_of,
    delete_session,
    expire_sessions,
    new_session_folder,
)
from moodspace.realtime.session.recorder import SessionRecorder
from tests.realtime.session.recordings import CLASSES, STARTED, group

DAY = 86400.0


def record(folder, started=STARTED):
    with SessionRecorder(folder, classes=CLASSES, source="camera 0", now=lambda: started) as recorder:
        recorder.add(group(5), started)
    return folder


def other_database(folder):
    folder.mkdir()
    with closing(sqlite3.connect(folder / DATABASE)) as connection:
        connection.execute("CREATE TABLE bank (money)")
    return folder


def test_a_session_is_deleted_with_all_that_was_made_of_it(tmp_path):
    folder = record(tmp_path / "session")
    made = [name for name in OWN_FILES if not name.startswith(DATABASE)]
    for name in made:
        (folder / name).write_text("made of it")
    assert sorted(path.name for path in delete_session(folder)) == sorted([DATABASE, *made])
    assert not folder.exists()


def test_other_files_stay(tmp_path):
    folder = record(tmp_path / "session")
    (folder / "notes.txt").write_text("mine")
    (folder / "deep").mkdir()
    (folder / "deep" / DATABASE).write_text("not of this session")
    assert delete_session(folder) == [folder / DATABASE]
    assert (folder / "notes.txt").read_text() == "mine" and (folder / "deep" / DATABASE).exists()


def test_a_link_is_removed_and_what_it_leads_to_stays(tmp_path):
    folder = record(tmp_path / "session")
    (tmp_path / "film.mp4").write_text("a film")
    (folder / "session.mp4").symlink_to(tmp_path / "film.mp4")
    delete_session(folder)
    assert (tmp_path / "film.mp4").read_text() == "a film" and not folder.exists()


@pytest.mark.parametrize(
    "make", [Path.mkdir, other_database, lambda folder: None, lambda folder: folder.write_text("x")]
)
def test_what_is_no_session_is_not_deleted(tmp_path, make):
    folder = tmp_path / "folder"
    make(folder)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(SessionError, match="expected a recorded session") as raised:
        delete_session(folder)
    assert "\n" not in str(raised.value) and sorted(tmp_path.rglob("*")) == before


def test_a_copy_of_another_name_deletes_nothing(tmp_path):
    folder = record(tmp_path / "session")
    (folder / "copy.sqlite").write_bytes((folder / DATABASE).read_bytes())
    with pytest.raises(SessionError, match="delete a copy with another name by hand"):
        delete_session(folder / "copy.sqlite")
    assert (folder / DATABASE).exists()


def test_a_damaged_session_can_be_deleted(tmp_path):
    folder = record(tmp_path / "session")
    whole = (folder / DATABASE).read_bytes()
    (folder / DATABASE).write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    delete_session(folder)
    assert not folder.exists()


def test_a_session_that_is_being_recorded_is_not_deleted(tmp_path):
    with SessionRecorder(tmp_path / "on", classes=CLASSES, source="x") as recorder:
        recorder.add(group(5), 0.0)
        with pytest.raises(SessionError, match="it is being recorded or read"):
            delete_session(tmp_path / "on")
        assert expire_sessions(tmp_path, 0, now=4e9) == []
    assert expire_sessions(tmp_path, 0, now=4e9) == [tmp_path / "on"]


def test_a_session_that_was_killed_can_be_deleted(tmp_path):
    command = [sys.executable, "-m", "tests.realtime.session.recordings", str(tmp_path / "killed")]
    root = Path(__file__).parents[3]
    with subprocess.Popen(command, cwd=root, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline()
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / "killed" / f"{DATABASE}-wal").exists()
    delete_session(tmp_path / "killed")
    assert not (tmp_path / "killed").exists()


def test_only_old_sessions_expire(tmp_path, caplog):
    now = STARTED + 30 * DAY
    old, new = record(tmp_path / "old", now - 8 * DAY), record(tmp_path / "new", now - 6 * DAY)
    for folder in (old, new):  # the age of a backup copy is that of its session
        os.utime(folder / DATABASE, (now, now))
    bank = other_database(tmp_path / "bank")
    (tmp_path / "photos").mkdir()
    (tmp_path / "file.txt").write_text("mine")
    outside = record(tmp_path / "outside" / "deeper", now - 99 * DAY)
    (tmp_path / "link").symlink_to(outside, target_is_directory=True)
    with caplog.at_level(logging.WARNING):
        assert expire_sessions(tmp_path, 7, now) == [old]
    assert not old.exists() and "bank" in caplog.text
    assert all(path.exists() for path in (new, bank / DATABASE, tmp_path / "photos", tmp_path / "file.txt", outside))


def test_the_age_of_a_damaged_session_is_that_of_its_file(tmp_path):
    folder = record(tmp_path / "damaged", STARTED)
    whole = (folder / DATABASE).read_bytes()
    (folder / DATABASE).write_bytes(whole[:100] + b"\xff" * (len(whole) - 100))
    os.utime(folder / DATABASE, (STARTED + DAY, STARTED + DAY))
    assert expire_sessions(tmp_path, 7, STARTED + 7.5 * DAY) == []
    assert expire_sessions(tmp_path, 7, STARTED + 8.5 * DAY) == [folder]


def test_days_are_not_negative_and_a_missing_folder_holds_nothing(tmp_path):
    with pytest.raises(ValueError, match="keep_days: expected 0 or more, got -1"):
        expire_sessions(tmp_path, -1, 0.0)
    assert expire_sessions(tmp_path / "missing", 1, 0.0) == []


def test_a_new_folder_is_named_for_the_time_and_never_an_old_one(tmp_path):
    first = new_session_folder(tmp_path, STARTED)
    assert first.parent == tmp_path and first.name.startswith("2026-09-2") and not first.exists()
    record(first)
    assert new_session_folder(tmp_path, STARTED) == first.with_name(f"{first.name}_2")


def test_the_file_is_for_its_owner_alone(tmp_path):
    folder = record(tmp_path / "session")
    assert database_of(folder) == database_of(folder / DATABASE) == folder / DATABASE
    if os.name == "posix":
        assert folder.stat().st_mode & 0o077 == 0 and (folder / DATABASE).stat().st_mode & 0o077 == 0
