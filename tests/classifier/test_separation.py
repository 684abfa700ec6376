"""Taught classes that look alike are told: each example is recognized without itself."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from moodspace.arrays import FloatArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.separation import Separation, _Examples, separation
from moodspace.embeddings.data.labelled import LabelledFaces
from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.gallery import TaughtGallery, open_taught


@pytest.fixture
def gallery(tmp_path: Path, bundle: Bundle) -> Iterator[TaughtGallery]:
    with open_taught(tmp_path, encoder="fake", dim=bundle.encoder.dim) as opened:
        yield opened


def around(middle: FloatArray, n: int, spread: float, seed: int) -> FloatArray:
    rows = middle + spread * np.random.default_rng(seed).standard_normal((n, len(middle)))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def teach(gallery: TaughtGallery, rows: FloatArray, label: str) -> None:
    gallery.add(NewFaces(rows, [label] * len(rows), ["live"] * len(rows), [""] * len(rows)))


def told(recognizer: Recognizer, gallery: TaughtGallery) -> dict[str, Separation]:
    return separation(recognizer, gallery, gallery.summary().labels)


@pytest.mark.parametrize("label_set", ["fer2013", "blend"])
def test_apart_is_apart_and_mixed_up_is_told(
    bundle: Bundle, gallery: TaughtGallery, other_faces: LabelledFaces, label_set: str
) -> None:
    recognizer = Recognizer(bundle, label_set)
    one, other = bundle.encoder.encode(other_faces.crops[:2]).embeddings
    teach(gallery, around(one, 10, 0.01, 1), "puzzled")
    teach(gallery, around(other, 10, 0.01, 2), "tired")
    apart = told(recognizer, gallery)
    assert list(apart) == ["puzzled", "tired"]
    assert apart["puzzled"] == Separation(10, 10, 10, 0, {}) and apart["puzzled"].summary == "all 10 recognized"
    # Five faces like those of the other class: each lies among ten of that class.
    teach(gallery, around(other, 5, 0.01, 3), "puzzled")
    mixed = told(recognizer, gallery)["puzzled"]
    assert mixed.examples == mixed.tested == 15 and mixed.confused.get("tired", 0) + mixed.unsure >= 3
    assert mixed.right >= 10 and "of 15" in mixed.summary


def test_what_the_network_knows_counts_among_the_confusions(
    bundle: Bundle, gallery: TaughtGallery, other_faces: LabelledFaces
) -> None:
    """Two faces that are unlike one another do not help each other: each is what it is without the other."""
    recognizer = Recognizer(bundle, "fer2013")
    encoded = bundle.encoder.encode(other_faces.crops)
    similar = encoded.embeddings @ encoded.embeddings[0]
    rows = np.array([0, int(similar.argmin())])
    teach(gallery, encoded.embeddings[rows], "puzzled")
    result = told(recognizer, gallery)["puzzled"]
    assert result.tested == 2 and result.right == 0
    assert set(result.confused) <= set(recognizer.classes) and sum(result.confused.values()) + result.unsure == 2


def test_one_example_tells_nothing_and_no_class_is_no_result(bundle: Bundle, gallery: TaughtGallery) -> None:
    recognizer = Recognizer(bundle)
    assert told(recognizer, gallery) == {}
    teach(gallery, np.eye(1, bundle.encoder.dim, dtype=np.float32), "puzzled")
    result = told(recognizer, gallery)["puzzled"]
    assert result == Separation(1, 0, 0, 0, {}) and "too few" in result.summary


def test_of_many_examples_some_are_looked_at(bundle: Bundle, gallery: TaughtGallery) -> None:
    teach(gallery, around(np.eye(1, bundle.encoder.dim)[0], 200, 0.01, 1), "puzzled")
    result = told(Recognizer(bundle), gallery)["puzzled"]
    assert result.examples == 200 and result.tested == 30


def test_the_words_and_values() -> None:
    result = Separation(12, 10, 5, 1, {"tired": 3, "sad": 1})
    assert result.summary == "confused with tired in 3, confused with sad in 1, unsure in 1 of 10"
    assert result.to_json() == {
        "examples": 12, "tested": 10, "right": 5, "unsure": 1, "confused": {"tired": 3, "sad": 1},
        "summary": result.summary,
    }  # fmt: skip


def test_examples_are_found_nearest_first() -> None:
    faces = np.eye(3, dtype=np.float32)
    found = _Examples(faces, np.array([0, 1, 1]), ("a", "b")).search(np.float32([[0.1, 0.9, 0.2]]), 2)
    assert found.ids.tolist() == [[1, 2]] and found.similarities[0].tolist() == pytest.approx([0.9, 0.2])
