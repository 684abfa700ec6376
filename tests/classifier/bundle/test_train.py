"""Tests of classifier/bundle/train.py: an exported network that is not the trained one is refused."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from moodspace.classifier.bundle import train
from tests.drawn_faces import drawn_faces

FEW_ASTRAY = np.float32([0.001] * 49 + [0.4])
ALL_ASTRAY = np.full(50, 0.1, np.float32)


class ExportError(ValueError):
    """Stands for that of embeddings/training/export.py, which would import TensorFlow."""


@pytest.fixture
def export(monkeypatch):
    """Exports nothing, and finds the two networks as far apart as it is told."""

    def run(apart, int8_faces):
        exporting = SimpleNamespace(
            ExportError=ExportError,
            differences=lambda *networks_and_crops: apart,
            export_encoder=lambda network, path, int8_faces: None,
        )
        monkeypatch.setitem(sys.modules, "moodspace.embeddings.training.export", exporting)
        monkeypatch.setitem(
            sys.modules, "moodspace.embeddings.training.trained", SimpleNamespace(load_encoder=lambda folder: None)
        )
        whitened = SimpleNamespace(whitened_encoder=lambda encoder, crops: encoder)
        monkeypatch.setitem(sys.modules, "moodspace.embeddings.training.whitened", whitened)
        monkeypatch.setattr("moodspace.embeddings.encoder.LiteRTEncoder", lambda *args, **kwargs: None)
        crops = np.zeros((0, 48, 48), np.uint8)
        return train._export(Path("training"), Path("encoder.tflite"), {}, crops, crops, int8_faces)

    return run


def test_one_face_astray_is_too_many_at_half_precision(export):
    assert export(np.float32([0.001, 0.019]), None) == pytest.approx(0.019)
    with pytest.raises(ExportError, match=r"expected Keras and LiteRT to agree, got probabilities 0\.400 apart"):
        export(FEW_ASTRAY, None)


def test_8_bits_may_move_a_few_faces_but_not_all(export):
    faces = drawn_faces(3, seed=0).crops
    assert export(FEW_ASTRAY, faces) == pytest.approx(0.4)
    with pytest.raises(ExportError, match=r"got probabilities 0\.100 apart on average; export without --int8"):
        export(ALL_ASTRAY, faces)


def test_the_faces_to_find_ranges_on_are_drawn_by_seed():
    faces = drawn_faces(600, seed=1)
    drawn = train._draw(faces, 5)
    assert drawn.shape == (500, 48, 48)
    np.testing.assert_array_equal(drawn, train._draw(faces, 5))
    assert (drawn != train._draw(faces, 6)).any()
    assert len(train._draw(faces.take(slice(0, 20)), 5)) == 20


@pytest.mark.parametrize(
    ("classes", "name"),
    [
        ({"fer2013": ["happy", "sad"], "ferplus": ["happy"]}, "fer2013"),
        ({"office": ["happy"]}, "office"),
        ({"ferplus": ["happy"]}, None),
    ],
)
def test_a_training_that_is_gone_on_with_keeps_the_name_of_its_labels(tmp_path, classes, name):
    (tmp_path / "training.json").write_text(json.dumps({"classes": classes}))
    assert train._name_of_labels([tmp_path / "none", tmp_path]) == name
    assert train._name_of_labels([]) is None
