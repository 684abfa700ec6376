"""The user's gallery on a disk that is full, limited or read-only: one line of error, and nothing is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3

import pytest

import moodspace.index.taught.database
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.gallery import open_taught

SCRIPT = "taught_disk_faults.py"
OPTIONS = {"encoder": "encoder", "dim": 16}
needs_mounts = pytest.mark.skipif(not shutil.which("unshare"), reason="needs mount namespaces")
pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs mounts and POSIX limits")


def check(outcomes, reason):
    """Check what became of attempts to write; return which of them failed."""
    for outcome in outcomes:
        assert outcome["problems"] == [] and outcome["agrees"]
        assert outcome["same"] == (outcome["error"] is not None or outcome["nothing"])
        if outcome["error"]:
            check_line(outcome["error"], reason)
    return [outcome["error"] is not None for outcome in outcomes]


def check_line(error, reason):
    assert "gallery.sqlite: expected " in error and reason in error and "; " in error
    assert "\n" not in error


@needs_mounts
def test_a_disk_that_fills_up(tmp_path, run_faults):
    outcomes = run_faults(SCRIPT, "full_disk", tmp_path, private_disks=True)["outcomes"]
    failed = check(outcomes, "database or disk is full")
    taught, forgotten, with_space = failed[0::3], failed[1::3], failed[2::3]
    assert taught == sorted(taught, reverse=True) and 3 <= sum(taught) < len(taught)
    assert any(forgotten) and not all(forgotten)
    assert not any(with_space), "writing has to work again as soon as there is space"


@needs_mounts
def test_a_disk_that_was_full_before(tmp_path, run_faults):
    told = run_faults(SCRIPT, "disk_full_from_the_start", tmp_path, private_disks=True)
    assert told["read"], "a gallery on a full disk can still be read"
    for error in told["errors"]:
        check_line(error, "free some space")
    assert told["afterwards"] == [None, None]


def test_a_limit_on_the_size_of_files(tmp_path, run_faults):
    outcomes = run_faults(SCRIPT, "limited_file_size", tmp_path / "gallery")["outcomes"]
    assert check(outcomes, "disk I/O error") == [True] * 4 + [False]


@needs_mounts
def test_a_read_only_disk(tmp_path, run_faults):
    told = run_faults(SCRIPT, "read_only_disk", tmp_path, private_disks=True)
    assert check(told["outcomes"], "got a read-only one") == [True, True]
    assert [outcome["generation"] for outcome in told["outcomes"]] == [8, 8]
    assert told["log"] > 0, "the killed writer was to leave a log that has to be read too"
    closed, killed, new = told["errors"]
    check_line(closed, "make the folder writable")
    check_line(killed, "make the folder writable")
    assert "expected to create this folder, got: Read-only file system" in new


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder(tmp_path, make_faces):
    with open_taught(tmp_path, **OPTIONS) as gallery:
        gallery.add(make_faces(2))
    tmp_path.chmod(0o555)
    try:
        with open_taught(tmp_path, **OPTIONS, read_only=True) as gallery:
            assert len(gallery) == 2
        with pytest.raises(StorageError, match="make the folder writable"):
            open_taught(tmp_path, **OPTIONS)
    finally:
        tmp_path.chmod(0o755)


def fails_with(monkeypatch, name):
    """Let SQLite fail to open a file to read with the error of that name, unless it is taken as it is."""
    connect = moodspace.index.taught.database.connect

    def failing(path, mode, timeout):
        if mode == "ro":
            error = sqlite3.OperationalError("made to fail")
            error.sqlite_errorname = name
            raise error
        return connect(path, mode, timeout)

    monkeypatch.setattr(moodspace.index.taught.database, "connect", failing)


@pytest.mark.parametrize("name", ["SQLITE_CANTOPEN", "SQLITE_READONLY_DIRECTORY", "SQLITE_IOERR_SHMSIZE"])
def test_without_shared_memory_the_file_is_read_as_it_is(tmp_path, make_faces, monkeypatch, name):
    with open_taught(tmp_path, **OPTIONS) as gallery:
        gallery.add(make_faces(2))
    fails_with(monkeypatch, name)
    with open_taught(tmp_path, **OPTIONS, read_only=True) as gallery:
        assert len(gallery) == 2 and gallery.verify() == []
        with pytest.raises(StorageError, match="got a read-only one"):
            gallery.remove_label("happy")


def test_a_file_in_use_is_never_read_as_it_is(tmp_path, make_faces, monkeypatch):
    with open_taught(tmp_path, **OPTIONS) as gallery:
        gallery.add(make_faces(2))
    fails_with(monkeypatch, "SQLITE_BUSY_RECOVERY")
    with pytest.raises(StorageError, match="another program is writing"):
        open_taught(tmp_path, **OPTIONS, read_only=True)


def test_a_log_that_cannot_be_read_is_not_passed_over(tmp_path, make_faces, monkeypatch):
    with open_taught(tmp_path, **OPTIONS) as gallery:
        gallery.add(make_faces(2))
        fails_with(monkeypatch, "SQLITE_CANTOPEN")
        with pytest.raises(StorageError, match="make the folder writable"):
            open_taught(tmp_path, **OPTIONS, read_only=True)
