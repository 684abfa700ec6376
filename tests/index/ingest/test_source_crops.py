"""Tests of index/ingest/source_crops.py: the newest taught faces, cropped again from their pictures."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moodspace.index.ingest.read_faces import FaceCrop, crop_digest, crop_whole_picture
from moodspace.index.ingest.source_crops import crop_from_source, crops_from_sources
from moodspace.index.taught import faces_table
from moodspace.index.taught.database import FIRST_ID
from moodspace.index.taught.faces import LIVE, NewFaces
from moodspace.index.taught.user_gallery import newest_taught, open_gallery
from tests.hostile_pictures import face, saved
from tests.index.ingest.fake_bundles import BUNDLE, cut_mirrored

ENCODER = BUNDLE.encoder_spec


def teach(folder: Path, sources: list[str], digests: list[str]) -> None:
    n = len(sources)
    rows = np.random.default_rng(0).normal(size=(n, ENCODER.dim))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    with open_gallery(folder, ENCODER, create=True) as gallery:
        gallery.add(NewFaces(rows, ["confused"] * n, sources, digests))


def picture(path: Path, seed: int) -> str:
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (48, 48), np.uint8)).save(path)
    crop = crop_whole_picture(path.read_bytes()).crop
    assert crop is not None
    return crop_digest(crop)


def test_nothing_is_taught(tmp_path: Path) -> None:
    assert newest_taught(tmp_path, ENCODER) is None


@pytest.mark.parametrize(("most", "expected"), [(1, 1), (2, 3), (3, 3), (4, 5), (100, 5)])
def test_of_many_the_newest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, expected: int) -> None:
    monkeypatch.setattr(faces_table, "_CHUNK", 2)
    teach(tmp_path, [LIVE] * 5, [""] * 5)
    found = newest_taught(tmp_path, ENCODER, most)
    assert found is not None
    assert found.ids.tolist() == [FIRST_ID + number for number in range(5)][-expected:]


def test_an_emptied_gallery_has_nothing_to_show(tmp_path: Path) -> None:
    teach(tmp_path, [LIVE], [""])
    with open_gallery(tmp_path, ENCODER) as gallery:
        gallery.undo()
    assert newest_taught(tmp_path, ENCODER) is None


def test_pictures_that_lie_where_they_did(tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    digests = [picture(path, seed) for seed, path in enumerate(paths)]
    picture(paths[1], 99)  # another face since
    teach(tmp_path / "gallery", [LIVE, *map(str, paths), "import:friend", "/gone.png"], ["", *digests, "", ""])
    found = newest_taught(tmp_path / "gallery", ENCODER)
    assert found is not None
    told: list[tuple[int, int]] = []
    crops, rows = crops_from_sources(found, [crop_whole_picture], lambda done, total: told.append((done, total)))
    assert rows.tolist() == [-1, 0, -1, 1, -1, -1]
    assert [crop_digest(crop) for crop in crops] == [digests[0], digests[2]]
    assert told[-1] == (4, 4)


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    path = tmp_path / "face.png"
    path.write_bytes(saved(face(np.random.default_rng(4), "L", (48, 48)), "PNG"))
    return path


def test_a_face_is_cut_as_it_was(drawn: Path) -> None:
    content = drawn.read_bytes()
    whole, mirrored = crop_whole_picture(content).crop, cut_mirrored(content).crop
    ways = (cut_mirrored, crop_whole_picture)
    assert np.array_equal(crop_from_source(str(drawn), crop_digest(whole), ways), whole)
    assert np.array_equal(crop_from_source(str(drawn), crop_digest(mirrored), ways), mirrored)
    # A bundle that cuts otherwise, or a digest that nobody noted: the first way that finds a face.
    assert np.array_equal(crop_from_source(str(drawn), "", ways), mirrored)
    assert np.array_equal(crop_from_source(str(drawn), "", (lambda content: FaceCrop(None), crop_whole_picture)), whole)
    assert crop_from_source(str(drawn), "", (lambda content: FaceCrop(None),)) is None


def test_pictures_that_are_not_at_hand(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, drawn: Path) -> None:
    monkeypatch.chdir(tmp_path)
    Image.open(drawn).save(tmp_path / LIVE, "PNG")
    (tmp_path / "broken.png").write_text("no picture")
    for source in (LIVE, "import:/home/face.png", "gone.png", "broken.png", "no\0name.png", str(tmp_path)):
        assert crop_from_source(source, "", (crop_whole_picture,)) is None
