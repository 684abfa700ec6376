"""Tests of index/store/manifest.py: every kind of damage raises one clear StorageError."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from moodspace.index.store.commit import commit
from moodspace.index.store.manifest import MANIFEST, StorageError, read_manifest

CONTENT = {"vectors.bin": b"\x00\x01" * 500, "columns.npz": b"labels"}
DIGEST = "0" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "gallery"
    writers = {name: lambda path, content=content: path.write_bytes(content) for name, content in CONTENT.items()}
    commit(folder, writers, {"note": "first"}, format="test-format", version=2)
    return folder


def _read(folder: Path):
    return read_manifest(folder, format="test-format", version=2)


def _edit(folder: Path, **changes: object) -> None:
    document = json.loads((folder / MANIFEST).read_text())
    (folder / MANIFEST).write_text(json.dumps(document | changes))


def _edit_file(folder: Path, **changes: object) -> None:
    document = json.loads((folder / MANIFEST).read_text())
    document["files"]["vectors.bin"] |= changes
    (folder / MANIFEST).write_text(json.dumps(document))


def _rewrite(folder: Path, content: bytes) -> None:
    (folder / "vectors.bin").write_bytes(content)


def _fifo(folder: Path) -> None:
    (folder / "vectors.bin").unlink()
    os.mkfifo(folder / "vectors.bin")


def test_a_healthy_folder_comes_back_as_it_was_written(folder):
    manifest = _read(folder)
    assert (manifest.format, manifest.version, manifest.meta) == ("test-format", 2, {"note": "first"})
    assert {name: manifest.path(name).read_bytes() for name in manifest.files} == CONTENT


def test_an_older_version_is_read_and_named(folder):
    assert read_manifest(folder, format="test-format", version=7).version == 2


def test_asking_for_an_artifact_that_is_not_there(folder):
    with pytest.raises(StorageError, match=r"expected a file 'map.npy', got vectors.bin, columns.npz"):
        _read(folder).path("map.npy")


FIFO = pytest.param(
    _fifo, "expected a file named", marks=pytest.mark.skipif(os.name == "nt", reason="POSIX"), id="fifo"
)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda f: (f / MANIFEST).unlink(), "expected a test-format folder with a manifest.json, got none"),
        (lambda f: f.rename(f.with_name("away")), "expected a test-format folder with a manifest.json, got none"),
        (lambda f: (f / MANIFEST).write_text(""), "expected a manifest.json of JSON, got damaged text"),
        (lambda f: (f / MANIFEST).write_bytes(b'{"format": "\xff\xfe\xfa"}'), "got damaged text"),
        (lambda f: (f / MANIFEST).write_text("[" * 100_000), "got damaged text"),
        (lambda f: (f / MANIFEST).write_text('{"format": ' + "9" * 5000 + "}"), "got damaged text"),
        (lambda f: (f / MANIFEST).write_text("[]"), r"expected format 'test-format', got \[\]"),
        (lambda f: _edit(f, format="other"), "expected format 'test-format', got 'other'"),
        (lambda f: _edit(f, format="x\ny" * 900), r"got 'x\\ny"),
        (lambda f: _edit(f, format=None), "expected format 'test-format', got None"),
        (lambda f: _edit(f, version=3), "expected test-format version 2 or older, got 3; update this program"),
        (lambda f: _edit(f, version=0), "version 2 or older, got 0"),
        (lambda f: _edit(f, version=True), "version 2 or older, got True"),
        (lambda f: _edit(f, version="2"), "version 2 or older, got '2'"),
        (lambda f: _edit(f, meta=[]), "expected 'meta' and 'files'"),
        (lambda f: _edit(f, files=[]), "expected 'meta' and 'files'"),
        (lambda f: _edit(f, files={"vectors.bin": None}), "expected files as a plain file name"),
        (lambda f: _edit(f, files={"vectors.bin": {"path": "vectors.bin"}}), "expected files as a plain file name"),
        (lambda f: _edit_file(f, bytes=1000.0), "expected files as"),
        (lambda f: _edit_file(f, bytes=-1), "expected files as"),
        (lambda f: _edit_file(f, bytes=True), "expected files as"),
        (lambda f: _edit_file(f, sha256="abc"), "expected files as"),
        (lambda f: _edit_file(f, sha256=None), "expected files as"),
        (lambda f: _edit_file(f, bytes=999), "expected 999 bytes, got 1000"),
        (lambda f: _edit_file(f, sha256=DIGEST), r"expected SHA-256 000000000000\.\.\., got [0-9a-f]{12}\.\.\."),
        (lambda f: _edit_file(f, path="gone.bin"), r"gone\.bin: expected a file named by the manifest, got none"),
        (lambda f: (f / "columns.npz").unlink(), r"columns\.npz: expected a file named by the manifest, got none"),
        (lambda f: _rewrite(f, CONTENT["vectors.bin"][:-1]), r"vectors\.bin: expected 1000 bytes, got 999"),
        (lambda f: _rewrite(f, CONTENT["vectors.bin"] + b"x"), r"vectors\.bin: expected 1000 bytes, got 1001"),
        (lambda f: _rewrite(f, b""), r"vectors\.bin: expected 1000 bytes, got 0"),
        (lambda f: _rewrite(f, b"x" + CONTENT["vectors.bin"][1:]), r"vectors\.bin: expected SHA-256"),
        FIFO,
    ],
)
def test_damage_is_named_in_one_line(folder, damage, message):
    damage(folder)
    with pytest.raises(StorageError, match=message) as caught:
        _read(folder)
    text = str(caught.value)
    assert text.startswith(str(folder))
    assert "\n" not in text
    assert len(text) < len(str(folder)) + 250


OUTSIDE = ["../secret", "..", ".", "a/b", "/etc/passwd", "a\\b", "C:x", "\\\\host\\x", ".hidden", "", "a\0", "a\n", "ü"]


@pytest.mark.parametrize("name", [*OUTSIDE, MANIFEST, "Manifest.JSON", None, 7, ["vectors.bin"]])
def test_a_path_that_leaves_the_folder_is_refused(folder, name):
    (folder.parent / "secret").write_bytes(CONTENT["vectors.bin"])
    _edit_file(folder, path=name)
    with pytest.raises(StorageError, match=r"plain file name.*do not use this folder"):
        _read(folder)


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_logical_name_that_is_a_path_is_refused(folder, name):
    document = json.loads((folder / MANIFEST).read_text())
    _edit(folder, files={name: document["files"]["vectors.bin"]})
    with pytest.raises(StorageError, match="plain file name"):
        _read(folder)


def test_a_manifest_cut_anywhere_is_refused(folder):
    whole = (folder / MANIFEST).read_bytes()
    for length in range(len(whole.rstrip())):
        (folder / MANIFEST).write_bytes(whole[:length])
        with pytest.raises(StorageError):
            _read(folder)


def test_a_manifest_with_any_byte_changed_never_raises_anything_else(folder):
    whole = (folder / MANIFEST).read_bytes()
    refused = 0
    for place in range(len(whole)):
        for byte in b'\x00"0':
            (folder / MANIFEST).write_bytes(whole[:place] + bytes([byte]) + whole[place + 1 :])
            try:
                _read(folder)
            except StorageError:
                refused += 1
    assert refused > len(whole)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="the superuser may read everything")
@pytest.mark.parametrize("name", [MANIFEST, "vectors.bin"])
def test_an_unreadable_file_is_a_storage_error(folder, name):
    (folder / name).chmod(0)
    with pytest.raises(StorageError, match="Permission denied"):
        _read(folder)
