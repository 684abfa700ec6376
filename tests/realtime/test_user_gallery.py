"""Tests of realtime/user_gallery.py: where a gallery lies, whose it is, how it is described, carried and followed."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest

from index.storage import GalleryError
from index.taught import FILE
from index.taught_faces import LIVE, NewFaces
from realtime.sync_folders import sync_folders
from realtime.user_gallery import (
    FollowedGallery,
    LiveTeacher,
    default_gallery,
    describe_gallery,
    encoder_of,
    export_gallery,
    import_gallery,
    open_gallery,
    summary_document,
)
from tests.realtime.interrupted_sync import write_faces
from tests.realtime.user_galleries import BUNDLE, OTHER, asked, held

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
    assert (encoder_of(BUNDLE), encoder_of(OTHER)) == ("fake", "flip-fake")
    with open_gallery(folder, BUNDLE, create=True) as opened:
        assert (opened.encoder, opened.dim) == ("fake", DIM)
    with pytest.raises(GalleryError, match="index --full"):
        open_gallery(folder, OTHER)


def test_a_missing_gallery_is_not_made_unasked(folder):
    with pytest.raises(GalleryError, match="teach it a face first"):
        open_gallery(folder, BUNDLE)
    assert not folder.exists()


def test_what_is_in_it_in_values_and_in_words(folder, tmp_path):
    faces = write_faces(tmp_path / "faces", 3)
    with open_gallery(folder, BUNDLE, create=True) as opened:
        sync_folders(opened, DIM, asked(faces, crops=True))
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
    with open_gallery(folder, BUNDLE, create=True) as opened:
        assert len(describe_gallery(folder, opened.summary())) == 1
        assert summary_document(folder, opened.summary())["first"] is None
        with pytest.raises(GalleryError, match="teach it some first"):
            export_gallery(opened, tmp_path / "x.parquet")


def test_a_file_that_cannot_be_written(folder, tmp_path):
    pytest.importorskip("pyarrow")
    with open_gallery(folder, BUNDLE, create=True) as opened:
        opened.add(new_faces(1))
        with pytest.raises(
            OSError, match=r"^/.*x\.parquet: expected to write this file, got: No such file or directory;"
        ):
            export_gallery(opened, tmp_path / "nowhere" / "x.parquet")


def test_faces_travel_once(folder, tmp_path):
    pytest.importorskip("pyarrow")
    with open_gallery(folder, BUNDLE, create=True) as opened:
        opened.add(new_faces(3))
        assert export_gallery(opened, tmp_path / "x.parquet") == 3
        assert import_gallery(opened, tmp_path / "x.parquet") == (0, 3)
    with open_gallery(tmp_path / "second", BUNDLE, create=True) as opened:
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
    followed = FollowedGallery(folder, BUNDLE, clock=clock)
    assert followed.current() is None
    with open_gallery(folder, BUNDLE, create=True) as opened:
        opened.add(new_faces(1))
        clock.now = 0.19
        assert followed.current() is None
        clock.now = 0.2
        first = followed.current()
        assert first is not None and len(first) == 1
        clock.now = 1
        assert followed.current() is first
        opened.add(new_faces(1, first=1))
        clock.now = 1.1
        assert followed.current() is first
        clock.now = 1.3
        assert len(followed.current()) == 2
    followed.close()


def test_a_gallery_of_another_encoder_is_refused_at_once_and_passed_over_later(folder, caplog):
    clock = Clock()
    followed = FollowedGallery(folder, BUNDLE, clock=clock)
    open_gallery(folder, OTHER, create=True).close()
    with pytest.raises(GalleryError, match="index --full"):
        FollowedGallery(folder, BUNDLE)
    clock.now = 1
    with caplog.at_level(logging.WARNING):
        assert followed.current() is None
    assert "index --full" in caplog.text


def test_a_live_session_teaches_and_takes_back(folder):
    teacher = LiveTeacher(folder, BUNDLE)
    assert not folder.exists()
    rows = np.eye(DIM, dtype=np.float32)
    ids = [teacher.teach(rows[number], name) for number, name in enumerate(["Happiness", "wink"])]
    with open_gallery(folder, BUNDLE, read_only=True) as opened:
        (part,) = opened.rows()
        assert list(part.ids) == ids and part.labels == ("happy", "wink") and set(part.sources) == {LIVE}
        np.testing.assert_allclose(part.embeddings, rows[:2], atol=1e-3)
        said = [teacher.undo() for _ in range(3)]
        assert said == ["undone: 1 wink", "undone: 1 happy", "nothing is taught that could be undone"]
        assert len(opened) == 0
    teacher.close()


def test_a_session_that_teaches_nothing_makes_no_gallery(folder):
    LiveTeacher(folder, BUNDLE).close()
    FollowedGallery(folder, BUNDLE).close()
    assert not folder.exists()


def test_nothing_is_left_beside_the_file_of_a_closed_gallery(folder, tmp_path):
    with open_gallery(folder, BUNDLE, create=True) as opened:
        sync_folders(opened, DIM, asked(write_faces(tmp_path / "faces", 3)))
        assert len(held(opened)) == 3
    assert [path.name for path in Path(folder).iterdir()] == [FILE]
