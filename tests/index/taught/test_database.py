"""Tests of index/taught/database.py and of `verify`: the gallery file, and every kind of damage."""

import contextlib
import shutil
import sqlite3

import numpy as np
import pytest

from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.database import Database
from moodspace.index.taught.gallery import FILE, open_taught
from moodspace.index.taught.sync_plan import FACES, FileState

FIRST = 1_000_000_000
OPTIONS = {"encoder": "a" * 64, "dim": 16}


@contextlib.contextmanager
def tampering(folder):
    with contextlib.closing(sqlite3.connect(folder / FILE, isolation_level=None)) as connection:
        yield connection


@pytest.fixture
def folder(tmp_path, make_faces):
    with open_taught(tmp_path, **OPTIONS) as gallery:
        gallery.add(make_faces(5))
    return tmp_path


def refused(folder, match, **options):
    with pytest.raises((GalleryError, StorageError), match=match) as told:
        open_taught(folder, **OPTIONS | options)
    assert "\n" not in str(told.value) and str(folder) in str(told.value)


@pytest.mark.parametrize("options", [{"create": False}, {"read_only": True}, {"create": False, "read_only": True}])
def test_a_missing_gallery_is_not_made_unasked(tmp_path, options):
    refused(tmp_path / "new", "expected a gallery, got none; teach it a face first", **options)
    assert not (tmp_path / "new").exists()


def test_the_gallery_of_another_encoder_is_refused(folder):
    refused(
        folder, r"of encoder b{12} \(16 numbers\), got a{12} \(16 numbers\).*moodspace index --full", encoder="b" * 64
    )
    refused(folder, r"\(8 numbers\), got a{12} \(16 numbers\)", dim=8, read_only=True)
    with open_taught(folder, **OPTIONS) as gallery:
        assert len(gallery) == 5


def test_other_files_are_refused(tmp_path, folder):
    other = tmp_path / "other"
    other.mkdir()
    (other / FILE).write_bytes(b"no database" * 1000)
    refused(other, "expected a gallery, got a damaged file")
    (other / FILE).unlink()
    with tampering(other) as connection:
        connection.execute("CREATE TABLE recipes (name TEXT)")
    refused(other, "expected a gallery, got another database; choose another folder")
    (other / "file").write_text("in the way")
    refused(other / "file", "expected to create this folder, got: File exists")


def test_the_gallery_of_a_newer_program_is_refused(folder):
    with tampering(folder) as connection:
        connection.execute("PRAGMA user_version = 2")
    refused(folder, "expected a gallery of version 1 or older, got 2; update this program")


def test_an_empty_file_becomes_a_gallery_but_not_to_read(tmp_path):
    (tmp_path / FILE).touch()
    refused(tmp_path, "got an empty file", read_only=True)
    with open_taught(tmp_path, **OPTIONS) as gallery:
        assert len(gallery) == 0


def test_a_half_copied_file_is_found_out(folder, make_faces):
    with open_taught(folder, **OPTIONS) as gallery:
        gallery.add(make_faces(2000, seed=1))
    content = (folder / FILE).read_bytes()
    (folder / FILE).write_bytes(content[: len(content) // 2])
    with pytest.raises(GalleryError, match="damaged") as told, open_taught(folder, **OPTIONS) as gallery:
        gallery.snapshot()
    assert "\n" not in str(told.value)


def test_scrambled_pages_are_told_by_verify(folder, make_faces):
    with open_taught(folder, **OPTIONS) as gallery:
        gallery.add(make_faces(2000, seed=1))
    content = bytearray((folder / FILE).read_bytes())
    content[len(content) // 2 : len(content) // 2 + 20_000] = bytes(20_000)
    (folder / FILE).write_bytes(content)
    with open_taught(folder, **OPTIONS, read_only=True) as gallery:
        problems = gallery.verify()
    assert problems and all("\n" not in problem for problem in problems)
    assert any("expected an intact file" in problem or "damaged" in problem for problem in problems)


DAMAGES = {
    "got others for 1000000001; forget them by their ids": "UPDATE faces SET embedding = zeroblob(32) WHERE id = {1}",
    "expected embeddings of finite numbers": "UPDATE faces SET embedding = :nan WHERE id = {1}",
    "expected embeddings of 16 numbers, got others for 1000000001": "UPDATE faces SET embedding = 'x' WHERE id = {1}",
    "expected ids from 1000000000, got 7": "UPDATE faces SET id = 7 WHERE id = {1}",
    "the class of each face among the labels, got none for 1000000001": "UPDATE faces SET label = 9 WHERE id = {1}",
    "the folder of each synced face among the roots": "UPDATE faces SET root = 9 WHERE id = {1}",
    "one class for each crop, got two or more for the same: 1000000000 = 1000000001": (
        "UPDATE faces SET label = 2, digest = (SELECT digest FROM faces WHERE id = {0}) WHERE id = {1}"
    ),
    "expected SHA-256 of 32 bytes, got another length": "UPDATE faces SET digest = x'00' WHERE id = {1}",
    "expected the face of each synced file, got none for /a/b.png": (
        "INSERT INTO files VALUES (1, '/a/b.png', 0, 0, '', 'faces', '', 1)"
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_verify_finds(folder, damage):
    with tampering(folder) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        statement = DAMAGES[damage].format(FIRST, FIRST + 1).replace(":nan", f"x'{'007e' * 16}'")
        assert connection.execute(statement).rowcount == 1
    with open_taught(folder, **OPTIONS, read_only=True) as gallery:
        problems = gallery.verify()
        assert any(damage in problem for problem in problems), problems
        if "embeddings of" in damage or "got others" in damage:
            with pytest.raises(GalleryError, match=r"a damaged embedding: .*gallery verify"):
                gallery.snapshot()

    with open_taught(folder, **OPTIONS) as gallery:
        gallery.remove([7, FIRST, FIRST + 1])
        assert len(gallery.snapshot()) == 3, "what is damaged can be forgotten"


def test_one_crop_may_come_from_two_places(folder, make_faces):
    with open_taught(folder, **OPTIONS) as gallery:
        gallery.add(make_faces(5, source="/a.png"))
        assert gallery.verify() == []


def test_verify_names_a_few_of_many(folder, make_faces):
    with open_taught(folder, **OPTIONS) as gallery:
        gallery.add(make_faces(2, seed=1))
    with tampering(folder) as connection:
        connection.execute("UPDATE faces SET label = 9, embedding = zeroblob(32)")
    with open_taught(folder, **OPTIONS) as gallery:
        problems = gallery.verify()
    assert len(problems) == 2
    for problem in problems:
        assert f"{FIRST}, " in problem and "1000000004 and 2 more" in problem


def test_a_read_block_sees_one_state(folder, make_faces):
    count = "SELECT count(*) FROM faces"
    with open_taught(folder, **OPTIONS) as gallery, open_taught(folder, **OPTIONS) as other:
        with gallery._database.read() as connection:
            assert connection.execute(count).fetchone() == (5,)
            other.remove_label("happy")
            with gallery._database.read() as nested:
                assert nested.execute(count).fetchone() == (5,)
            assert connection.execute(count).fetchone() == (5,)
        assert len(gallery) == 0


def test_who_reads_cannot_write(folder):
    database = Database(folder / FILE, writable=False)
    with pytest.raises(StorageError, match="attempt to write a readonly"), database.read() as connection:
        connection.execute("DELETE FROM faces")
    database.close()


def test_a_restored_copy_is_followed(tmp_path, folder, make_faces):
    queries = make_faces(3, seed=5).embeddings
    shutil.copy(folder / FILE, tmp_path / "copy")
    with open_taught(folder, **OPTIONS) as gallery:
        gallery.add(make_faces(3, "sad", seed=5))
        assert gallery.snapshot().classes == ("happy", "sad")
        with contextlib.closing(sqlite3.connect(tmp_path / "copy")) as copy, tampering(folder) as target:
            copy.backup(target)
        assert gallery.snapshot().classes == ("happy",) and len(gallery.snapshot()) == 5
        gallery.add(make_faces(3, "angry", seed=6))
        snapshot = gallery.snapshot()
        assert snapshot.classes == ("angry", "happy") and len(snapshot) == 8
        assert snapshot.search(queries, 8).valid.all()


def test_a_synced_file_survives_verify(folder, make_faces):
    with open_taught(folder, **OPTIONS) as gallery:
        file = FileState("/a/happy/b.png", 1, 1, "", FACES)
        faces = make_faces(1, seed=1)
        gallery.synced(folder).record([file], faces.embeddings, faces.digests)
        assert gallery.verify() == []
        assert np.isfinite(gallery.summary().last)


@pytest.mark.parametrize(
    "damage",
    [
        "DELETE FROM meta",
        "UPDATE meta SET dim = 'many'",
        "DELETE FROM sqlite_sequence",
        "UPDATE faces SET source = x'8d'",
        "UPDATE labels SET name = x'8d'",
        "UPDATE faces SET added = x'8d'",
    ],
)
def test_values_of_another_type_are_one_error(folder, damage):
    with tampering(folder) as connection:
        connection.execute("PRAGMA ignore_check_constraints = ON")
        connection.execute(damage)
    with pytest.raises(GalleryError, match="expected") as told, open_taught(folder, **OPTIONS) as gallery:
        list(gallery.rows())
        gallery.snapshot().search(np.eye(1, 16, dtype=np.float32), 1)
    assert "\n" not in str(told.value)
