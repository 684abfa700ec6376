"""Tests of commits that fail at any step: one whole state remains, without leftovers."""

from __future__ import annotations

import errno
import logging
import os
from pathlib import Path
from typing import Any

import pytest

from moodspace.index.store.commit import commit
from moodspace.index.store.manifest import MANIFEST, StorageError, read_manifest

FORMAT: Any = {"format": "test-format", "version": 1}


def _writers(**content: bytes):
    """Make writers from contents; `a_bin=...` stands for the artifact `a.bin`."""
    return {
        name.replace("_", "."): lambda path, data=data: path.write_bytes(data) and None
        for name, data in content.items()
    }


def _contents(folder: Path) -> dict[str, bytes]:
    manifest = read_manifest(folder, **FORMAT)
    return {name: manifest.path(name).read_bytes() for name in manifest.files}


def _names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with a state to lose."""
    folder = tmp_path / "state"
    commit(folder, _writers(a_bin=b"old", b_bin=b"old"), {"state": "old"}, **FORMAT)
    return folder


def _is_old(folder: Path) -> bool:
    assert _names(folder) == {MANIFEST, "a.bin", "b.bin"}
    return set(_contents(folder).values()) == {b"old"}


@pytest.mark.parametrize("meta", [{"a": float("nan")}, {"a": {1, 2}}, {"a": b"x"}, {"a": object()}])
def test_meta_that_is_not_json_is_refused(folder, meta):
    with pytest.raises(StorageError, match="expected meta of plain JSON values"):
        commit(folder, _writers(a_bin=b"new"), meta, **FORMAT)
    assert _is_old(folder)


@pytest.mark.parametrize("error", [RuntimeError("mine"), KeyboardInterrupt()])
def test_an_error_of_a_writer_passes_through_and_leaves_the_old_state(folder, error):
    def fail(path):
        path.write_bytes(b"half")
        raise error

    with pytest.raises(type(error)):
        commit(folder, _writers(a_bin=b"new") | {"b.bin": fail}, {}, **FORMAT)
    assert _is_old(folder)


def test_a_writer_that_writes_nothing_is_an_error(folder):
    with pytest.raises(StorageError, match="No such file"):
        commit(folder, {"a.bin": lambda path: None}, {}, **FORMAT)
    assert _is_old(folder)


def test_a_file_in_place_of_the_folder(tmp_path):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="expected to write into this folder, got"):
        commit(tmp_path / "file", _writers(a_bin=b"a"), {}, **FORMAT)
    with pytest.raises(StorageError, match="expected to write into this folder, got"):
        commit(tmp_path / "file" / "below", _writers(a_bin=b"a"), {}, **FORMAT)


@pytest.mark.parametrize("function", ["replace", "fsync"])
def test_a_disk_that_fails_at_any_step_leaves_one_whole_state(folder, monkeypatch, function):
    original, outcomes = getattr(os, function), []
    for fail_at in range(20):
        calls = 0

        def flaky(*args, fail_at=fail_at):
            nonlocal calls
            calls += 1
            if calls == fail_at + 1:
                raise OSError(errno.EIO, "Input/output error")
            return original(*args)

        monkeypatch.setattr(os, function, flaky)
        try:
            commit(folder, _writers(a_bin=b"new", b_bin=b"new"), {"state": "new"}, **FORMAT)
        except StorageError as error:
            assert str(folder) in str(error)
            assert "Input/output error" in str(error)
            outcomes.append(read_manifest(folder, **FORMAT).meta["state"])
            if outcomes[-1] == "old":
                assert _is_old(folder)
            assert len(set(_contents(folder).values())) == 1
            assert not any(name.startswith(".tmp") for name in _names(folder))
        else:
            break
        finally:
            monkeypatch.setattr(os, function, original)
    # fsync: a, b, the manifest, the folder before and after the commit point; replace: a, b, the manifest.
    assert outcomes == (["old"] * 4 + ["new"] if function == "fsync" else ["old"] * 3)


def test_an_interrupt_just_after_the_commit_point_keeps_the_new_state(folder, monkeypatch):
    original = os.replace

    def interrupted(source, target):
        original(source, target)
        if Path(target).name == MANIFEST:
            raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        commit(folder, _writers(a_bin=b"new"), {}, **FORMAT)
    assert _contents(folder) == {"a.bin": b"new"}


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be flushed there")
def test_everything_is_flushed_before_the_manifest_replaces_the_old_one(folder, monkeypatch):
    events, fsync, replace = [], os.fsync, os.replace
    inode = folder.stat().st_ino

    def flush(handle):
        events.append(("flush", "folder" if os.fstat(handle).st_ino == inode else os.fstat(handle).st_ino))
        fsync(handle)

    def rename(source, target):
        events.append(("rename", Path(source).name, os.stat(source).st_ino))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", flush)
    monkeypatch.setattr(os, "replace", rename)
    commit(folder, _writers(a_bin=b"1", b_bin=b"2"), {}, **FORMAT)
    renames = [event for event in events if event[0] == "rename"]
    assert [name for _, name, _ in renames] == ["a.bin", "b.bin", MANIFEST]
    for event in renames:
        assert events.index(("flush", event[2])) < events.index(event)
    assert events[-3:] == [("flush", "folder"), renames[-1], ("flush", "folder")]


@pytest.mark.skipif(os.name == "nt", reason="folders cannot be flushed there")
@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOTSUP])
def test_a_file_system_that_cannot_flush_is_good_enough(folder, monkeypatch, number):
    def refuse(handle):
        raise OSError(number, "not here")

    monkeypatch.setattr(os, "fsync", refuse)
    commit(folder, _writers(a_bin=b"new"), {}, **FORMAT)
    assert _contents(folder) == {"a.bin": b"new"}


def test_a_stale_file_that_cannot_be_removed_is_reported_and_tried_again(folder, monkeypatch, caplog):
    unlink = Path.unlink

    def refuse(path, missing_ok=False):
        if path.name == "a.bin":
            raise PermissionError(errno.EACCES, "in use", str(path))
        unlink(path, missing_ok)

    with monkeypatch.context() as patch, caplog.at_level(logging.WARNING):
        patch.setattr(Path, "unlink", refuse)
        commit(folder, {}, {}, **FORMAT)
        commit(folder, _writers(c_bin=b"c"), {}, **FORMAT)
    assert "in use" in caplog.text
    assert _names(folder) == {MANIFEST, "a.bin", "c-2e7d2c03.bin"}
    for content in (b"1", b"2"):
        commit(folder, _writers(a_bin=content), {}, **FORMAT)
        assert _contents(folder) == {"a.bin": content}
    assert _names(folder) == {MANIFEST, "a-d4735e3a.bin"}
