"""The stand-in for the network: repeatable, of unit length, and right more often than chance."""

import numpy as np
import pytest

from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.evaluation import evaluate
from moodspace.embeddings.data.labelled import LabelledFaces
from tests.fake_encoder import FakeEncoder, fake_bundle


def test_the_seed_decides(other_faces: LabelledFaces) -> None:
    first, again, other = (FakeEncoder(seed=seed).encode(other_faces.crops) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first.embeddings, again.embeddings)
    np.testing.assert_array_equal(first.logits["fer2013"], again.logits["fer2013"])
    assert (first.embeddings != other.embeddings).all()


@pytest.mark.parametrize("dim", [2, 16])
def test_rows_have_unit_length_even_for_a_picture_of_one_grey(gallery_faces: LabelledFaces, dim: int) -> None:
    crops = np.concatenate([gallery_faces.crops[:5], np.full((1, 48, 48), 128, np.uint8)])
    for encoder in (FakeEncoder(dim), FakeEncoder.taught(gallery_faces, dim)):
        encoded = encoder.encode(crops)
        assert encoded.embeddings.shape == (6, dim)
        np.testing.assert_allclose(np.linalg.norm(encoded.embeddings, axis=1), 1, rtol=1e-5)


@pytest.mark.parametrize("label_set", ["fer2013", "ferplus"])
def test_a_taught_bundle_knows_other_faces(bundle: Bundle, other_faces: LabelledFaces, label_set: str) -> None:
    found = evaluate(bundle, other_faces, label_set)
    assert min(found.head.accuracy, found.knn.accuracy, found.ensemble.accuracy) > 0.35


def test_any_classes_will_do(gallery_faces: LabelledFaces) -> None:
    made = fake_bundle(gallery_faces.take(slice(0, 20)), dim=4, seed=3)
    assert made.index.dim == made.encoder.dim == 4
    assert made.classes.keys() == {"fer2013", "ferplus"}
