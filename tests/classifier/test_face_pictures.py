"""Pictures of known faces come from the data that the bundle was built from, and from taught faces that kept theirs."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.face_pictures import FacePictures, gallery_rows
from moodspace.embeddings.data.labelled import DataError
from tests.drawn_faces import drawn_faces, write_parquet
from tests.fake_encoder import fake_bundle

FACES = drawn_faces(28, seed=5)


@pytest.fixture(scope="module")
def known() -> Bundle:
    return fake_bundle(FACES.take(np.arange(20)))


@pytest.fixture
def pictures(known: Bundle, tmp_path: Path) -> FacePictures:
    """More faces than the gallery has, and not all of them."""
    pytest.importorskip("pyarrow")
    write_parquet(FACES.take(np.arange(5, 28)), tmp_path / "train.parquet")
    return FacePictures.read(tmp_path / "train.parquet", known)


def test_the_gallerys_faces_are_found_in_the_data(pictures: FacePictures, known: Bundle) -> None:
    assert len(pictures) == 15
    found = pictures.of([7, 19, 2, 99, -1])
    assert list(found) == [7, 19]
    np.testing.assert_array_equal(found[7], FACES.crops[7])
    rows = pictures.rows(known.index.gallery.ids)
    assert (rows[:5] == -1).all() and (rows[5:] >= 0).all()
    np.testing.assert_array_equal(pictures.crops[rows[12]], FACES.crops[12])


def test_taught_faces_bring_their_own(pictures: FacePictures) -> None:
    asked: list[list[int]] = []

    def taught(ids):
        asked.append(list(ids))
        return {10**9: FACES.crops[0]}

    found = pictures.with_taught(taught).of([7, 10**9])
    assert list(found) == [7, 10**9] and asked == [[10**9]]
    assert pictures.of([10**9]) == {}


def test_other_data_are_refused(known: Bundle, tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    others = drawn_faces(10, seed=6)
    write_parquet(others, tmp_path / "other.parquet")
    with pytest.raises(DataError, match=r"expected the faces of the bundle's gallery, got others; name the data"):
        FacePictures.read(tmp_path / "other.parquet", known)


def test_without_data_there_are_none() -> None:
    none = FacePictures.none()
    assert len(none) == 0 and none.of([0, 1]) == {} and none.rows(np.arange(2)).tolist() == [-1, -1]


def test_another_picture_under_the_name_of_the_first_face_is_noticed(known: Bundle) -> None:
    first = FACES.take(np.arange(1))
    assert gallery_rows(known, first).tolist() == [0]
    assert gallery_rows(known, replace(first, crops=255 - FACES.crops[9:10])).tolist() == [-1]


def test_no_pictures_have_whole_ids(known: Bundle) -> None:
    assert FacePictures.none().rows(known.index.gallery.ids).tolist() == [-1] * 20
    assert FacePictures.none().rows(np.array([2**62 + 1])).tolist() == [-1]
    assert FacePictures.none()._ids.dtype == np.int64
