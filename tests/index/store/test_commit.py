"""Tests of index/store/commit.py: file names, kept files, and refusals."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from moodspace.index.store.commit import commit
from moodspace.index.store.lock import read_stored
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


def test_the_first_files_have_plain_names_and_all_later_ones_carry_the_digest(tmp_path):
    names = []
    for generation in range(4):
        manifest = commit(tmp_path, _writers(a_bin=b"%d" % generation), {"generation": generation}, **FORMAT)
        assert manifest == read_manifest(tmp_path, **FORMAT)
        assert manifest.meta == {"generation": generation}
        assert _contents(tmp_path) == {"a.bin": b"%d" % generation}
        assert _names(tmp_path) == {MANIFEST, manifest.files["a.bin"].path}
        names.append(manifest.files["a.bin"].path)
    # No file ever changes: who read an old manifest finds what that names, or nothing.
    assert names == ["a.bin", "a-6b86b273.bin", "a-d4735e3a.bin", "a-4e074085.bin"]


def test_the_whole_extension_survives_the_hash(tmp_path):
    for _ in range(2):
        files = {
            "encoder.weights.h5": lambda path: path.write_bytes(b"1"),
            "LICENSE": lambda path: path.write_bytes(b"1"),
        }
        manifest = commit(tmp_path, files, {}, **FORMAT)
    assert [entry.path for entry in manifest.files.values()] == ["encoder-6b86b273.weights.h5", "LICENSE-6b86b273"]


def test_a_writer_gets_a_path_of_exactly_the_logical_name(tmp_path):
    seen = []
    commit(tmp_path, {"a.weights.h5": lambda path: seen.append(path.name) or path.write_bytes(b"")}, {}, **FORMAT)
    assert seen == ["a.weights.h5"]


def test_names_that_would_collide_are_told_apart(tmp_path):
    commit(tmp_path, _writers(a_bin=b"0"), {}, **FORMAT)
    crowd = {"a-6b86b273.bin": b"old", "A.BIN": b"upper", "a.bin": b"1"}
    files = {name: lambda path, data=data: path.write_bytes(data) for name, data in crowd.items()}
    for _ in range(3):
        manifest = commit(tmp_path, files, {}, **FORMAT)
        assert len({entry.path.casefold() for entry in manifest.files.values()}) == 3
        assert _contents(tmp_path) == crowd
        assert len(_names(tmp_path)) == 4


def test_kept_files_stay_and_all_others_go(tmp_path):
    commit(tmp_path, _writers(a_bin=b"a", b_bin=b"b", c_bin=b"c"), {"old": True}, **FORMAT)
    before = (tmp_path / "a.bin").stat()
    commit(tmp_path, _writers(c_bin=b"new", d_bin=b"d"), {}, keep=("a.bin", "c.bin"), **FORMAT)
    assert _contents(tmp_path) == {"a.bin": b"a", "c.bin": b"new", "d.bin": b"d"}
    assert (tmp_path / "a.bin").stat().st_mtime_ns == before.st_mtime_ns
    assert len(_names(tmp_path)) == 4
    assert read_manifest(tmp_path, **FORMAT).meta == {}


def test_keeping_everything_changes_only_the_meta(tmp_path):
    commit(tmp_path, _writers(a_bin=b"a", b_bin=b"b"), {"step": 1}, **FORMAT)
    commit(tmp_path, {}, {"step": 2}, keep=read_manifest(tmp_path, **FORMAT).files, **FORMAT)
    assert _contents(tmp_path) == {"a.bin": b"a", "b.bin": b"b"}
    assert read_manifest(tmp_path, **FORMAT).meta == {"step": 2}


def test_keeping_what_is_not_there_is_refused(tmp_path):
    with pytest.raises(StorageError, match=r"expected to keep a\.bin, got no file"):
        commit(tmp_path / "new", {}, {}, keep=["a.bin"], **FORMAT)
    assert not (tmp_path / "new").exists()


def test_committing_the_same_content_repairs_a_damaged_file(tmp_path):
    for _ in range(2):
        commit(tmp_path, _writers(a_bin=b"content"), {}, **FORMAT)
    (tmp_path / read_manifest(tmp_path, **FORMAT).files["a.bin"].path).write_bytes(b"damaged")
    commit(tmp_path, _writers(a_bin=b"content"), {}, **FORMAT)
    assert _contents(tmp_path) == {"a.bin": b"content"}


def test_files_of_the_user_are_left_alone(tmp_path):
    strangers = {"README.md", "a.bin.bak", "a-notahash.bin", "xa.bin", "b.bin", "manifest.json.bak"}
    for name in strangers:
        (tmp_path / name).write_bytes(b"mine")
    (tmp_path / "pictures").mkdir()
    for _ in range(3):
        commit(tmp_path, _writers(a_bin=b"a"), {}, **FORMAT)
    assert all((tmp_path / name).read_bytes() == b"mine" for name in strangers)
    assert _names(tmp_path) - strangers - {"pictures", MANIFEST} == {"a-ca978112c.bin"}


def test_what_interrupted_writers_left_is_removed(tmp_path):
    commit(tmp_path, _writers(a_bin=b"a"), {}, **FORMAT)
    (tmp_path / ".tmp-dead").mkdir()
    (tmp_path / ".tmp-dead" / "a.bin").write_bytes(b"half")
    (tmp_path / "a-0123abcd.bin").write_bytes(b"orphan")
    commit(tmp_path, _writers(a_bin=b"b"), {}, **FORMAT)
    assert _names(tmp_path) == {MANIFEST, "a-3e23e816.bin"}
    (tmp_path / "a.bin").write_bytes(b"orphan")
    commit(tmp_path, {}, {}, keep=["a.bin"], **FORMAT)
    assert _names(tmp_path) == {MANIFEST, "a-3e23e816.bin"}


def test_a_missing_folder_is_made_with_its_parents(tmp_path):
    commit(tmp_path / "a" / "b", _writers(a_bin=b"a"), {}, **FORMAT)
    assert _contents(tmp_path / "a" / "b") == {"a.bin": b"a"}


@pytest.mark.parametrize(
    ("manifest", "message"),
    [
        ('{"format": "bundle", "version": 1, "meta": {}, "files": {}}', "expected format 'test-format', got 'bundle'"),
        ('{"format": "test-format", "version": 2, "meta": {}, "files": {}}', "version 1 or older, got 2"),
        ("half a manif", "expected a manifest.json of JSON"),
    ],
)
def test_a_folder_that_holds_something_else_is_not_replaced(tmp_path, manifest, message):
    (tmp_path / MANIFEST).write_text(manifest)
    with pytest.raises(StorageError, match=message):
        commit(tmp_path, _writers(a_bin=b"a"), {}, **FORMAT)
    assert _names(tmp_path) == {MANIFEST}
    assert (tmp_path / MANIFEST).read_text() == manifest


@pytest.mark.parametrize(
    "name", ["", "..", "../a", "a/b", "a\\b", ".hidden", "manifest.json", "MANIFEST.json", "a b", "ä"]
)
def test_a_name_that_is_not_a_plain_file_name_is_refused(tmp_path, name):
    with pytest.raises(StorageError, match="expected file names of letters"):
        commit(tmp_path, {name: lambda path: None}, {}, **FORMAT)
    assert not _names(tmp_path)


@pytest.mark.skipif(os.name == "nt", reason="POSIX permissions")
def test_an_artifact_copied_from_a_read_only_file(tmp_path):
    def copy(path):
        path.write_bytes(b"read-only")
        path.chmod(0o444)

    for _ in range(2):
        commit(tmp_path, {"a.bin": copy}, {}, **FORMAT)
    assert _contents(tmp_path) == {"a.bin": b"read-only"}


def test_a_state_that_is_replaced_while_it_is_read_is_read_anew(tmp_path):
    commit(tmp_path, _writers(a_bin=b"old"), {"state": "old"}, **FORMAT)
    seen = []

    def read(manifest):
        seen.append(manifest.meta["state"])
        if len(seen) == 1:
            commit(tmp_path, _writers(a_bin=b"new"), {"state": "new"}, **FORMAT)
            raise FileNotFoundError("removed by the writer")
        return manifest.path("a.bin").read_bytes()

    assert read_stored(tmp_path, **FORMAT, read=read) == b"new" and seen == ["old", "new"]


def test_what_cannot_be_read_though_nobody_writes_is_not_tried_again(tmp_path):
    commit(tmp_path, _writers(a_bin=b"old"), {}, **FORMAT)
    tried = []

    def read(manifest):
        tried.append(manifest)
        raise ValueError("damaged")

    with pytest.raises(ValueError, match="damaged"):
        read_stored(tmp_path, **FORMAT, read=read)
    assert len(tried) == 1
