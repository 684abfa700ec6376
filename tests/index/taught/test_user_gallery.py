"""Tests of index/taught/user_gallery.py: the default place, one encoder, descriptions, export, import, following."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodspace.index.ingest.folders import sync_folders
from moodspace.index.store.commit import GalleryError
from moodspace.index.taught.exchange import export_faces, export_gallery, import_gallery
from moodspace.index.taught.faces import LIVE, NewFaces
from moodspace.index.taught.gallery import FILE
from moodspace.index.taught.user_gallery import (
    FollowedGallery,
    LiveTeacher,
    default_gallery,
    describe_gallery,
    open_gallery,
    summary_document,
)
from tests.index.ingest.fake_bundles import BUNDLE, OTHER, asked, held
from tests.index.ingest.folder_sync import write_faces

DIM = BUNDLE.encoder.dim


def new_faces(n, label="wink", source=LIVE, first=0):
    """Faces in directions of their own."""
    rows = np.eye(DIM, dtype=np.float32)[first : first + n]
    return NewFaces(rows, [label] * n, [source] * n, [f"{number:064x}" for number in range(first, first + n)])


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "gallery"


def test_the_default_lies_in_the_users_own_data(monkeypatch, tmp_path):
    monkeypatch.setattr("platformdirs.user_data_path", lambda name, appauthor: tmp_path / name)
    assert default_gallery() == tmp_path / "moodspace" / "gallery"
    assert not default_gallery().parent.exists()


def test_a_gallery_belongs_to_one_encoder(folder):
    assert (BUNDLE.encoder_spec.fingerprint, OTHER.encoder_spec.fingerprint) == ("fake", "flip-fake")
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        assert (opened.encoder, opened.dim) == ("fake", DIM)
    with pytest.raises(GalleryError, match="index --full"):
        open_gallery(folder, OTHER.encoder_spec)


def test_a_missing_gallery_is_not_made_unasked(folder):
    with pytest.raises(GalleryError, match="teach it a face first"):
        open_gallery(folder, BUNDLE.encoder_spec)
    assert not folder.exists()


def test_what_is_in_it_in_values_and_in_words(folder, tmp_path):
    faces = write_faces(tmp_path / "faces", 3)
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        sync_folders(opened, asked(faces, crops=True))
        opened.add(new_faces(2))
        summary = opened.summary()
    document = json.loads(json.dumps(summary_document(folder, summary)))
    assert document["faces"] == 5 and document["classes"] == {"angry": 1, "disgust": 1, "fear": 1, "wink": 2}
    assert document["sources"] == {str(faces): 3, LIVE: 2} and document["folders"] == {str(faces): "crops"}
    assert 0 < document["first"] <= document["last"] and document["bytes"] > 0 and document["encoder"] == "fake"
    lines = describe_gallery(folder, summary)
    assert lines[0].startswith(f"{folder}: 5 faces, ") and lines[1].startswith("taught from 20")
    assert [line.split() for line in lines if "wink" in line] == [["wink", "2"]]
    assert f"  from {LIVE}: 2" in lines and f"  kept in sync, whole pictures: {faces}" in lines


def test_an_empty_gallery_can_be_described_and_not_exported(folder, tmp_path):
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        assert len(describe_gallery(folder, opened.summary())) == 1
        assert summary_document(folder, opened.summary())["first"] is None
        with pytest.raises(GalleryError, match="teach it some first"):
            export_gallery(opened, tmp_path / "x.parquet")


def test_a_file_that_cannot_be_written(folder, tmp_path):
    pytest.importorskip("pyarrow")
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        opened.add(new_faces(1))
        with pytest.raises(
            OSError, match=r"^/.*x\.parquet: expected to write this file, got: No such file or directory;"
        ):
            export_gallery(opened, tmp_path / "nowhere" / "x.parquet")


def test_faces_travel_once(folder, tmp_path):
    pytest.importorskip("pyarrow")
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        opened.add(new_faces(3))
        assert export_gallery(opened, tmp_path / "x.parquet") == 3
        assert import_gallery(opened, tmp_path / "x.parquet") == (0, 3)
    with open_gallery(tmp_path / "second", BUNDLE.encoder_spec, create=True) as opened:
        opened.add(new_faces(1))
        opened.add(new_faces(1, label="frown", first=1))
        assert import_gallery(opened, tmp_path / "x.parquet") == (2, 1)
        assert sum(opened.undo().labels.values()) == 2


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def test_a_session_follows_what_others_teach_but_does_not_always_look(folder):
    clock = Clock()
    updated = FollowedGallery(folder, BUNDLE.encoder_spec, clock=clock)
    assert updated.current() is None
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        opened.add(new_faces(1))
        clock.now = 0.19
        assert updated.current() is None
        clock.now = 0.2
        first = updated.current()
        assert first is not None and len(first) == 1
        clock.now = 1
        assert updated.current() is first
        opened.add(new_faces(1, first=1))
        clock.now = 1.1
        assert updated.current() is first
        clock.now = 1.3
        assert len(updated.current()) == 2
    updated.close()


def test_a_gallery_of_another_encoder_is_refused_at_once_and_passed_over_later(folder, caplog):
    clock = Clock()
    updated = FollowedGallery(folder, BUNDLE.encoder_spec, clock=clock)
    open_gallery(folder, OTHER.encoder_spec, create=True).close()
    with pytest.raises(GalleryError, match="index --full"):
        FollowedGallery(folder, BUNDLE.encoder_spec)
    clock.now = 1
    with caplog.at_level(logging.WARNING):
        assert updated.current() is None
    assert "index --full" in caplog.text


def test_a_live_session_teaches_and_takes_back(folder):
    teacher = LiveTeacher(folder, BUNDLE.encoder_spec)
    assert not folder.exists()
    rows = np.eye(DIM, dtype=np.float32)
    ids = [teacher.teach(rows[number], name) for number, name in enumerate(["Happiness", "wink"])]
    with open_gallery(folder, BUNDLE.encoder_spec, read_only=True) as opened:
        (part,) = opened.rows()
        assert list(part.ids) == ids and part.labels == ("happy", "wink") and set(part.sources) == {LIVE}
        np.testing.assert_allclose(part.embeddings, rows[:2], atol=1e-3)
        said = [teacher.undo() for _ in range(3)]
        assert said == ["undone: 1 wink", "undone: 1 happy", "this session has taught nothing that could be undone"]
        assert len(opened) == 0
    teacher.close()


def test_a_session_that_teaches_nothing_makes_no_gallery(folder):
    LiveTeacher(folder, BUNDLE.encoder_spec).close()
    FollowedGallery(folder, BUNDLE.encoder_spec).close()
    assert not folder.exists()


def test_nothing_is_left_beside_the_file_of_a_closed_gallery(folder, tmp_path):
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        sync_folders(opened, asked(write_faces(tmp_path / "faces", 3)))
        assert len(held(opened)) == 3
    assert [path.name for path in Path(folder).iterdir()] == [FILE]


def contents(gallery):
    parts = list(gallery.rows())
    return [(label, bool(digest)) for part in parts for label, digest in zip(part.labels, part.digests, strict=True)]


def state(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def mixed(folder):
    """Three faces taught live, one crop under two names, and one crop with a name of its own."""
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(5, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        opened.add(NewFaces(rows[:3], ["wink"] * 3, [LIVE] * 3, [""] * 3))
        for label in ("wink", "smirk"):
            opened.add(NewFaces(rows[3:4], [label], ["/a.png"], ["a" * 64]))
        opened.add(NewFaces(rows[4:], ["sad"], ["/b.png"], ["b" * 64]))
    return folder


def test_importing_what_is_there_changes_nothing(mixed, tmp_path):
    pytest.importorskip("pyarrow")
    file, other_file = tmp_path / "out.parquet", tmp_path / "back.parquet"
    with open_gallery(mixed, BUNDLE.encoder_spec) as opened:
        export_gallery(opened, file)
        before, generation = contents(opened), opened.generation
        for _ in range(4):
            assert import_gallery(opened, file) == (0, 6)
        assert contents(opened) == before and opened.generation == generation
        with open_gallery(tmp_path / "other", BUNDLE.encoder_spec, create=True) as other:
            assert import_gallery(other, file) == (6, 0)
            assert [import_gallery(other, file) for _ in range(3)] == [(0, 6)] * 3
            export_gallery(other, other_file)
        # And back, after the embeddings were rounded twice.
        for _ in range(3):
            assert import_gallery(opened, other_file) == (0, 6)
        assert contents(opened) == before and opened.generation == generation


def test_many_round_trips_add_nothing(tmp_path):
    pytest.importorskip("pyarrow")
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(300, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    with open_gallery(tmp_path / "0", BUNDLE.encoder_spec, create=True) as first:
        first.add(NewFaces(rows, ["wink"] * 300, [LIVE] * 300, [""] * 300))
        for trip in range(6):
            with open_gallery(tmp_path / f"{trip}", BUNDLE.encoder_spec) as source:
                export_gallery(source, tmp_path / "file.parquet")
            with open_gallery(tmp_path / f"{trip + 1}", BUNDLE.encoder_spec, create=True) as target:
                assert import_gallery(target, tmp_path / "file.parquet") == (300, 0)
        assert import_gallery(first, tmp_path / "file.parquet") == (0, 300)


def test_an_export_without_hashes_meets_a_gallery_with_hashes(folder, tmp_path):
    pytest.importorskip("pyarrow")
    faces = new_faces(4, source="/a.png")
    nameless = NewFaces(faces.embeddings, faces.labels, faces.sources, [""] * 4)
    for one, (taught, exported) in enumerate([(faces, nameless), (nameless, faces)]):
        with open_gallery(tmp_path / f"old {one}", BUNDLE.encoder_spec, create=True) as old:
            old.add(exported)
            export_gallery(old, tmp_path / "old.parquet")
        with open_gallery(tmp_path / f"new {one}", BUNDLE.encoder_spec, create=True) as new:
            new.add(taught)
            assert import_gallery(new, tmp_path / "old.parquet") == (0, 4)


def test_the_same_face_under_another_class_comes_in(folder, tmp_path):
    pytest.importorskip("pyarrow")
    with open_gallery(tmp_path / "other", BUNDLE.encoder_spec, create=True) as other:
        other.add(new_faces(2, "smirk"))
        export_gallery(other, tmp_path / "file.parquet")
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        opened.add(new_faces(2, "wink"))
        assert import_gallery(opened, tmp_path / "file.parquet") == (2, 0)
        assert import_gallery(opened, tmp_path / "file.parquet") == (0, 2)


def test_faces_of_a_file_that_are_equal_come_in_once(folder, tmp_path):
    pytest.importorskip("pyarrow")
    row = np.eye(DIM, dtype=np.float32)[:1]
    with open_gallery(tmp_path / "other", BUNDLE.encoder_spec, create=True) as other:
        for _ in range(3):
            other.add(NewFaces(row, ["wink"], [LIVE], [""]))
        export_gallery(other, tmp_path / "file.parquet")
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        assert import_gallery(opened, tmp_path / "file.parquet") == (1, 2)


def test_a_limit_counts_what_comes_in(mixed, tmp_path):
    pytest.importorskip("pyarrow")
    with open_gallery(mixed, BUNDLE.encoder_spec) as opened:
        export_gallery(opened, tmp_path / "file.parquet")
        assert import_gallery(opened, tmp_path / "file.parquet", most=6) == (0, 6)
        opened.remove_label("sad")
        opened.add(new_faces(1, "calm", first=9))
        with pytest.raises(GalleryError, match="expected room for 1 faces, got room for 0"):
            import_gallery(opened, tmp_path / "file.parquet", most=6)
        assert len(opened) == 6


def test_a_file_with_a_name_that_no_class_may_have_is_refused(folder, tmp_path, monkeypatch):
    pytest.importorskip("pyarrow")
    monkeypatch.setattr("moodspace.index.taught.faces.check_name", lambda name: name)
    with open_gallery(tmp_path / "other", BUNDLE.encoder_spec, create=True) as other:
        other.add(new_faces(1, "a\x1bb"))
        parts = list(other.rows())
        export_faces(tmp_path / "file.parquet", replace(parts[0], labels=("a\x1bb",)), other.encoder)
    monkeypatch.undo()
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        with pytest.raises(GalleryError, match=r"file\.parquet: expected a class name on one line") as told:
            import_gallery(opened, tmp_path / "file.parquet")
        assert str(told.value).isprintable() and not len(opened)


def test_two_spellings_in_an_old_gallery_are_one_class(folder, tmp_path):
    pytest.importorskip("pyarrow")
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        opened.add(new_faces(1, "ang\u00e9l"))
        opened.add(new_faces(1, "ange\u0301l", first=1))  # as an older program kept it
        assert dict(opened.summary().labels) == {"ang\u00e9l": 2}
        snapshot = opened.snapshot()
        assert snapshot.classes == ("ang\u00e9l",) and len(snapshot.examples("ang\u00e9l", 9)) == 2
        assert snapshot.search(np.eye(DIM, dtype=np.float32)[:2], 1).labels["taught"].tolist() == [[0], [0]]
        assert set(opened.known([f"{1:064x}"]).values()) == {"ang\u00e9l"}
        export_gallery(opened, tmp_path / "file.parquet")
        assert import_gallery(opened, tmp_path / "file.parquet") == (0, 2)
        assert opened.undo().labels == {"ang\u00e9l": 1}
        opened.add(new_faces(1, "ange\u0301l", first=1))
        assert opened.remove_label("ang\u00e9l") == 2 and not len(opened)


def test_undo_in_a_session_leaves_what_others_taught(folder):
    teacher = LiveTeacher(folder, BUNDLE.encoder_spec)
    rows = np.eye(DIM, dtype=np.float32)
    teacher.teach(rows[0], "wink")
    with open_gallery(folder, BUNDLE.encoder_spec) as other:
        other.add(new_faces(3, "sad", first=3))
        kept = LiveTeacher(folder, BUNDLE.encoder_spec)
        kept.teach(rows[1], "smirk")
        assert teacher.undo() == "undone: 1 wink"
        before, generation = contents(other), other.generation
        assert teacher.undo() == "this session has taught nothing that could be undone"
        assert contents(other) == before and other.generation == generation
        teacher.teach(rows[2], "wink")
        teacher.teach(rows[0], "calm")
        other.remove_label("calm")
        assert teacher.undo() == "undone: 1 wink"  # the other one has gone already
        assert dict(other.summary().labels) == {"sad": 3, "smirk": 1}
    kept.close()
    teacher.close()


def test_a_live_session_refuses_a_name_that_no_class_may_have(folder):
    teacher = LiveTeacher(folder, BUNDLE.encoder_spec)
    with pytest.raises(ValueError, match="expected a class name on one line"):
        teacher.teach(np.eye(DIM, dtype=np.float32)[0], "a\u202eb")
    assert not folder.exists()


def test_what_changes_nothing_writes_nothing(folder):
    with open_gallery(folder, BUNDLE.encoder_spec, create=True) as opened:
        opened.add(new_faces(2))
        opened.undo()
        before, generation, snapshot = state(folder), opened.generation, opened.snapshot()
        assert opened.undo() is None and opened.undo(77) is None
        assert opened.remove([5, 10**10]) == opened.remove_label("nobody") == opened.remove_source("/nowhere") == 0
        assert opened.add(NewFaces.none(DIM)).ids == ()
        assert opened.add_missing(NewFaces.none(DIM)).ids == ()
        assert opened.generation == generation and opened.snapshot() is snapshot
        assert state(folder) == before


@pytest.mark.parametrize("keep", [False, True])
def test_held_frames_are_one_lesson_with_one_undo(folder, keep):
    teacher = LiveTeacher(folder, BUNDLE.encoder_spec, keep_pictures=keep)
    rows, crops = np.eye(DIM, dtype=np.float32), np.arange(4 * 48 * 48).reshape(4, 48, 48).astype(np.uint8)
    teacher.teach(rows[:1], "sad", crops[:1])
    ids = teacher.teach(rows[1:4], "Wink", crops[1:4])
    with open_gallery(folder, BUNDLE.encoder_spec, read_only=True) as opened:
        assert dict(opened.summary().labels) == {"sad": 1, "wink": 3} and len(ids) == 3
        pictures = opened.pictures(ids)
        assert list(pictures) == (list(ids) if keep else [])
        assert all((pictures[one] == crop).all() for one, crop in zip(pictures, crops[1:], strict=keep))
        assert teacher.undo() == "undone: 3 wink"
        assert dict(opened.summary().labels) == {"sad": 1} and opened.pictures(ids) == {}
    teacher.close()
