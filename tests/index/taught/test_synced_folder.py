"""Tests of index/taught/synced_folder.py: the recorded state of a synced folder."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodspace.index.store.commit import GalleryError
from moodspace.index.taught.gallery import open_taught
from moodspace.index.taught.sync_plan import DUPLICATE, FACES, FAILED, FORGOTTEN, NONE, FileState

ROOT, OTHER = Path("/pictures/first"), Path("/pictures/second")


@pytest.fixture
def gallery(tmp_path):
    with open_taught(tmp_path, encoder="encoder", dim=16) as opened:
        yield opened


def state(name, status=FACES, root=ROOT, **fields):
    reason = "" if status == FACES else "why"
    return FileState(f"{root}/happy/{name}", 10, 20, f"{name:0>64}".encode().hex()[-64:], status, reason, **fields)


def record(folder, files, make_faces, seed=0):
    faces = make_faces(sum(file.status == FACES for file in files), seed=seed)
    folder.record(files, faces.embeddings, faces.digests)
    return faces


def faces_of(gallery):
    return {source: number for part in gallery.rows() for number, source in zip(part.ids, part.sources, strict=True)}


def test_files_are_known_as_they_were_recorded(gallery, make_faces):
    files = [state("a"), state("b", NONE), state("c", FAILED), state("d"), state("e", DUPLICATE)]
    folder = gallery.synced(ROOT, options="crops")
    assert folder.known() == {} and folder.batch is None and gallery.roots() == {}
    faces = record(folder, files, make_faces)
    assert folder.known() == {file.path: file for file in files}
    assert folder.batch == gallery.generation and gallery.roots() == {ROOT: "crops"}
    (found,) = gallery.rows()
    assert found.sources == (files[0].path, files[3].path) and found.labels == ("happy", "happy")
    assert found.digests == tuple(faces.digests)
    assert gallery.summary().sources == {str(ROOT): 2} and gallery.summary().roots == {ROOT: "crops"}
    assert gallery.verify() == []


def test_a_changed_file_has_one_face_the_new_one(gallery, make_faces):
    record(gallery.synced(ROOT), [state("a"), state("b")], make_faces)
    before = faces_of(gallery)
    faces = record(gallery.synced(ROOT), [replace(state("a"), size=11)], make_faces, seed=1)
    after = faces_of(gallery)
    assert after.keys() == before.keys()
    assert after[state("b").path] == before[state("b").path] and after[state("a").path] > max(before.values())
    assert gallery.snapshot().search(faces.embeddings, 1).similarities[0, 0] > 0.999
    record(gallery.synced(ROOT), [state("a", FAILED)], make_faces)
    assert faces_of(gallery).keys() == {state("b").path} and gallery.verify() == []


def test_drop_and_touch(gallery, make_faces):
    record(gallery.synced(ROOT), [state("a"), state("b"), state("c", NONE)], make_faces)
    ids = faces_of(gallery)
    gallery.synced(ROOT).touch([replace(state("a"), size=1, mtime_ns=99), state("unknown")])
    gallery.synced(ROOT).drop([state("b").path, state("c").path, "/nowhere"])
    assert gallery.synced(ROOT).known() == {state("a").path: replace(state("a"), size=1, mtime_ns=99)}
    assert faces_of(gallery) == {state("a").path: ids[state("a").path]}


def test_folders_do_not_touch_each_other(gallery, make_faces):
    shared = state("x")
    record(gallery.synced(ROOT), [shared], make_faces, seed=1)
    record(gallery.synced(OTHER, options="detect"), [shared, state("y", NONE, OTHER)], make_faces, seed=2)
    assert gallery.roots() == {ROOT: "", OTHER: "detect"}
    assert gallery.synced(ROOT).elsewhere() == [shared] and len(gallery) == 2
    gallery.synced(OTHER).drop([shared.path])
    assert gallery.synced(ROOT).known() == {shared.path: shared} and len(gallery) == 1
    assert gallery.synced(ROOT).elsewhere() == []


def test_all_of_a_sync_is_undone_together_and_new_to_the_next(gallery, make_faces):
    record(gallery.synced(ROOT), [state("old")], make_faces, seed=1)
    first = gallery.synced(ROOT)
    record(first, [state("a")], make_faces, seed=2)
    record(first, [state("b"), state("n", NONE)], make_faces, seed=3)
    second = gallery.synced(OTHER, batch=first.batch)
    record(second, [state("c", root=OTHER)], make_faces, seed=4)
    assert gallery.undo().labels == {"happy": 3}
    assert gallery.synced(ROOT).known().keys() == {state("old").path} == faces_of(gallery).keys()
    assert gallery.synced(OTHER).known() == {} and gallery.verify() == []


@pytest.mark.parametrize("way", ["id", "label", "source", "folder"])
def test_a_forgotten_face_is_not_taught_again_unasked(gallery, make_faces, way):
    twin = replace(state("twin", DUPLICATE), sha256=state("a").sha256)
    record(gallery.synced(ROOT), [state("a"), state("b", NONE), twin], make_faces)
    forget = {
        "id": lambda: gallery.remove([faces_of(gallery)[state("a").path]]),
        "label": lambda: gallery.remove_label("happy"),
        "source": lambda: gallery.remove_source(state("a").path),
        "folder": lambda: gallery.remove_source(f"{ROOT}/happy"),
    }
    assert forget[way]() == 1
    known = gallery.synced(ROOT).known()
    for name in (state("a").path, twin.path):
        assert (known[name].status, known[name].reason) == (NONE, FORGOTTEN)
    assert known[state("b").path] == state("b", NONE)
    assert gallery.roots() == {ROOT: ""} and gallery.verify() == []


@pytest.mark.parametrize(("source", "left"), [
    (str(ROOT), [OTHER]), (f"{ROOT}/", [OTHER]), ("/pictures", []), ("/pictures/f", [ROOT, OTHER]), ("/", []),
])  # fmt: skip
def test_a_forgotten_folder_is_no_longer_kept_in_sync(gallery, make_faces, source, left):
    record(gallery.synced(ROOT), [state("a")], make_faces, seed=1)
    record(gallery.synced(OTHER), [state("b", root=OTHER)], make_faces, seed=2)
    assert gallery.remove_source(source) == 2 - len(left)
    assert list(gallery.roots()) == left
    assert gallery.synced(ROOT).known().keys() == ({state("a").path} if ROOT in left else set())
    assert gallery.verify() == []


def test_a_relative_folder_is_refused(gallery):
    with pytest.raises(GalleryError, match="expected an absolute path"):
        gallery.synced(Path("pictures")).drop(["a"])
    assert gallery.roots() == {}


def test_faces_and_files_must_agree(gallery, make_faces):
    faces = make_faces(2)
    with pytest.raises(GalleryError, match="align the fields"):
        gallery.synced(ROOT).record([state("a")], faces.embeddings, faces.digests)
    assert len(gallery) == 0 and gallery.generation == 0


def test_thirty_thousand_files_are_known_at_once(gallery):
    files = [replace(state(str(number)), status=NONE) for number in range(30_000)]
    gallery.synced(ROOT).record(files, np.empty((0, 16), np.float32), [])
    assert len(gallery.synced(ROOT).known()) == 30_000
