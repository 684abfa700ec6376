"""Tests of index/ingest/read_faces.py: from files of any content to embedded faces."""

import hashlib
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moodspace.embeddings.crops import DEFAULT_GEOMETRY, crop_faces
from moodspace.embeddings.detection.detectors import open_picture_detector
from moodspace.embeddings.encoder import Encoded
from moodspace.embeddings.pictures import read_crop
from moodspace.index.ingest.read_faces import (
    MAX_BYTES,
    NO_FACE,
    NO_MEMORY,
    FaceCropper,
    crop_whole_picture,
    embed_files,
)
from moodspace.realtime.demo import picture_path
from tests.fake_encoder import FakeEncoder
from tests.hostile_pictures import face, saved, with_orientation
from tests.realtime.fakes import FakeDetector, faces_at, read

ENCODER = FakeEncoder()


class Crops:
    """An encoder that keeps the crops it was given."""

    dim, classes = 2, {}

    def __init__(self):
        self.crops, self.calls = [], 0

    def encode(self, crops):
        self.crops += list(crops)
        self.calls += 1
        return Encoded(np.tile(np.array([1, 0], np.float32), (len(crops), 1)), {})


def embed(paths, cutter=crop_whole_picture, encoder=ENCODER, **options):
    return [one for part in embed_files([str(path) for path in paths], cutter, encoder, **options) for one in part]


def test_a_whole_picture_is_one_face(tmp_path):
    Image.fromarray(np.arange(48 * 48, dtype=np.uint16).reshape(48, 48).astype(np.uint8)).save(tmp_path / "a.png")
    encoder = Crops()
    (one,) = embed([tmp_path / "a.png"], encoder=encoder)
    crop = read_crop(tmp_path / "a.png")
    assert np.array_equal(encoder.crops[0], crop)
    assert one.sha256 == hashlib.sha256((tmp_path / "a.png").read_bytes()).hexdigest()
    assert one.digest == hashlib.sha256(crop.tobytes()).hexdigest()
    assert (one.others, one.reason, one.readable, one.lasting) == (0, "", True, True)


def test_the_largest_of_several_faces_is_taken(tmp_path):
    path = tmp_path / "b.png"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)).save(path)
    faces = faces_at((10, 20, 20, 30), (60, 15, 40, 50), (5, 5, 10, 10))
    encoder = Crops()
    (one,) = embed([path], FaceCropper(FakeDetector(faces), DEFAULT_GEOMETRY), encoder)
    assert one.others == 2
    assert np.array_equal(encoder.crops[0], crop_faces(read(path), faces.landmarks)[1])


def test_a_picture_without_a_face_says_so(tmp_path):
    Image.new("RGB", (80, 60)).save(tmp_path / "c.png")
    (one,) = embed([tmp_path / "c.png"], FaceCropper(FakeDetector(faces_at()), DEFAULT_GEOMETRY))
    assert (one.embedding, one.reason, one.readable, one.lasting) == (None, NO_FACE, True, True)


def test_a_picture_that_does_not_fit_into_memory_is_tried_again(tmp_path):
    def cutter(content):
        raise MemoryError

    (tmp_path / "large.png").write_bytes(b"large")
    (one,) = embed([tmp_path / "large.png"], cutter)
    assert (one.embedding, one.reason, one.readable, one.lasting) == (None, NO_MEMORY, False, False)


def test_faces_are_embedded_together_and_in_order(tmp_path):
    paths = [tmp_path / f"{number}.png" for number in range(7)]
    for number, path in enumerate(paths):
        path.write_bytes(b"" if number == 2 else saved(face(np.random.default_rng(number)), "PNG"))
    encoder = Crops()
    parts = list(embed_files([str(path) for path in paths], crop_whole_picture, encoder, size=3))
    assert [[Path(one.path).name for one in part] for part in parts] == [
        ["0.png", "1.png", "2.png"], ["3.png", "4.png", "5.png"], ["6.png"]]  # fmt: skip
    assert (encoder.calls, len(encoder.crops)) == (3, 6)
    whole = embed(paths)
    for number in (0, 1, 3, 4, 5, 6):
        alone = ENCODER.encode(read_crop(paths[number])[None]).embeddings[0]
        np.testing.assert_allclose(whole[number].embedding, alone, atol=1e-6)


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_honoured(tmp_path, orientation):
    upright = face(np.random.default_rng(3), "L", (200, 140))
    (tmp_path / "turned.jpg").write_bytes(with_orientation(upright, orientation))
    encoder = Crops()
    embed([tmp_path / "turned.jpg"], encoder=encoder)
    wanted = np.asarray(upright.resize((48, 48), Image.Resampling.HAMMING), int)
    assert np.abs(encoder.crops[0] - wanted).mean() < 3
    # The test can tell: another orientation looks different.
    assert np.abs(encoder.crops[0][::-1] - wanted).mean() > 10


def test_a_turned_photograph_has_its_face(tmp_path):
    upright = Image.open(picture_path()).convert("RGB")
    (tmp_path / "turned.jpg").write_bytes(with_orientation(upright, 6))
    encoder = Crops()
    cutter = FaceCropper(open_picture_detector(), DEFAULT_GEOMETRY)
    turned, straight = embed([tmp_path / "turned.jpg", picture_path()], cutter, encoder)
    assert not turned.reason and not straight.reason
    assert np.abs(encoder.crops[0].astype(int) - encoder.crops[1]).mean() < 8


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes in folders here")
def test_files_that_are_none(tmp_path):
    with (tmp_path / "giant.jpg").open("wb") as file:
        file.truncate(MAX_BYTES + 1)
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "folder.jpg").mkdir()
    giant, pipe, folder, gone = embed(tmp_path / name for name in ("giant.jpg", "pipe.jpg", "folder.jpg", "gone.jpg"))
    assert f"at most {MAX_BYTES:,} bytes" in giant.reason
    assert "got a pipe" in pipe.reason and "got a folder" in folder.reason
    # This one may be back at the next try.
    assert "No such file" in gone.reason and not gone.lasting and not gone.readable
