"""Drawn faces, a bundle in memory, and the parts of one on disk."""

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodspace.classifier.bundle import bundle as bundles
from moodspace.classifier.bundle.bundle import Bundle, save_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.crops import CropGeometry
from moodspace.embeddings.data.labelled import LabelledFaces
from moodspace.embeddings.encoder import EncoderError
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import FakeEncoder, fake_bundle, fake_gallery, plain_calibration

GEOMETRY = CropGeometry(np.arange(10, dtype=np.float32).reshape(5, 2))


class StandIn(FakeEncoder):
    """Read `{"seed", "dim"}` where LiteRT reads a network."""

    def __init__(self, model: Path, classes: Mapping[str, tuple[str, ...]], *, flip: bool, threads: int = 2) -> None:
        try:
            stored = json.loads(model.read_bytes())
        except ValueError as error:
            raise EncoderError(f"{model}: expected a network,\n got rubble") from error
        super().__init__(stored["dim"], classes, stored["seed"])
        self.flip, self.threads = flip, threads


@pytest.fixture(scope="session")
def gallery_faces() -> LabelledFaces:
    return drawn_faces(105, seed=0, votes=True)


@pytest.fixture(scope="session")
def other_faces() -> LabelledFaces:
    return drawn_faces(70, seed=1, votes=True)


@pytest.fixture(scope="session")
def bundle(gallery_faces: LabelledFaces) -> Bundle:
    return fake_bundle(gallery_faces)


@pytest.fixture(scope="session")
def recognizer(bundle: Bundle) -> Recognizer:
    return Recognizer(bundle)


@pytest.fixture
def parts(
    tmp_path: Path, gallery_faces: LabelledFaces, bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """What `save_bundle` is given; where LiteRT would read a network, `StandIn` reads its seed."""
    monkeypatch.setattr(bundles, "LiteRTEncoder", StandIn)
    network, weights = tmp_path / "network.tflite", tmp_path / "network.h5"
    network.write_text('{"seed": 5, "dim": 16}')
    weights.write_bytes(b"weights")
    encoder = FakeEncoder(16, bundle.classes, 5)
    gallery = fake_gallery(encoder, gallery_faces)
    return {
        "encoder": network,
        "flip": True,
        "gallery": gallery,
        "classes": bundle.classes,
        "default_labels": "ferplus",
        "blend": bundle.blend,
        "geometry": GEOMETRY,
        "calibrations": {"fer2013": plain_calibration(7), "ferplus": replace(plain_calibration(8), alpha=0.1)},
        "map_coordinates": gallery.embeddings[:, :2].copy(),
        "weights": weights,
        "training": {"epochs": 3},
        "metrics": {"fer2013": {"accuracy": 0.5}},
    }


@pytest.fixture
def saved(tmp_path: Path, parts: dict[str, Any]) -> Path:
    """A bundle on disk."""
    save_bundle(tmp_path / "mood", **parts)
    return tmp_path / "mood"
