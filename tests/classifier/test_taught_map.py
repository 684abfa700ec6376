from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.similar import newest_taught, pictures_of
from moodspace.classifier.user_gallery import open_gallery
from moodspace.index.ingest.read_faces import crop_whole_picture, digest_of
from moodspace.index.taught import faces_table
from moodspace.index.taught.database import FIRST_ID
from moodspace.index.taught.faces import LIVE, NewFaces


def teach(folder: Path, recognizer: Recognizer, sources: list[str], digests: list[str]) -> None:
    n = len(sources)
    rows = np.random.default_rng(0).normal(size=(n, recognizer.bundle.encoder.dim))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    with open_gallery(folder, recognizer.bundle, create=True) as gallery:
        gallery.add(NewFaces(rows, ["confused"] * n, sources, digests))


def picture(path: Path, seed: int) -> str:
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (48, 48), np.uint8)).save(path)
    crop = crop_whole_picture(path.read_bytes()).crop
    assert crop is not None
    return digest_of(crop)


def test_nothing_is_taught(recognizer: Recognizer, tmp_path: Path) -> None:
    assert newest_taught(tmp_path, recognizer.bundle) is None


@pytest.mark.parametrize(("most", "expected"), [(1, 1), (2, 3), (3, 3), (4, 5), (100, 5)])
def test_of_many_the_newest(
    recognizer: Recognizer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, most: int, expected: int
) -> None:
    monkeypatch.setattr(faces_table, "_CHUNK", 2)
    teach(tmp_path, recognizer, [LIVE] * 5, [""] * 5)
    found = newest_taught(tmp_path, recognizer.bundle, most)
    assert found is not None
    assert found.ids.tolist() == [FIRST_ID + number for number in range(5)][-expected:]


def test_an_emptied_gallery_has_nothing_to_show(recognizer: Recognizer, tmp_path: Path) -> None:
    teach(tmp_path, recognizer, [LIVE], [""])
    with open_gallery(tmp_path, recognizer.bundle) as gallery:
        gallery.undo()
    assert newest_taught(tmp_path, recognizer.bundle) is None


def test_pictures_that_lie_where_they_did(recognizer: Recognizer, tmp_path: Path) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(3)]
    digests = [picture(path, seed) for seed, path in enumerate(paths)]
    picture(paths[1], 99)  # another face since
    teach(
        tmp_path / "gallery", recognizer, [LIVE, *map(str, paths), "import:friend", "/gone.png"], ["", *digests, "", ""]
    )
    found = newest_taught(tmp_path / "gallery", recognizer.bundle)
    assert found is not None
    told: list[tuple[int, int]] = []
    crops, rows = pictures_of(found, [crop_whole_picture], lambda done, total: told.append((done, total)))
    assert rows.tolist() == [-1, 0, -1, 1, -1, -1]
    assert [digest_of(crop) for crop in crops] == [digests[0], digests[2]]
    assert told[-1] == (4, 4)
