"""What holds of the bundle that ships, by its own manifest."""

from pathlib import Path

import numpy as np
import pytest

from moodspace.classifier.bundle.bundle import Bundle, load_bundle
from moodspace.classifier.quality_effect import QualityEffect


@pytest.fixture(scope="module")
def bundle(shipped: Path) -> Bundle:
    return load_bundle(shipped)


def test_it_is_small_and_has_a_place_on_the_map_for_each_face(bundle: Bundle) -> None:
    assert sum(file.stat().st_size for file in bundle.path.iterdir()) < 15_000_000
    assert bundle.map_coordinates is not None and len(bundle.map_coordinates) == len(bundle.index) == 28_709
    assert bundle.encoder.dim == 128 and not bundle.meta["flip"]


def test_its_embedding_is_whitened(bundle: Bundle) -> None:
    variances = np.linalg.eigvalsh(np.cov(bundle.index.gallery.embeddings.T))
    assert variances[-1] / variances[0] < 10  # thousands for an embedding that only tells the classes apart


def test_head_and_votes_know_more_together(bundle: Bundle) -> None:
    figures = bundle.meta["metrics"]["validation"]
    scores = {part: figures["fer2013"][part]["accuracy"] for part in ("head", "knn", "ensemble")}
    assert scores["ensemble"] > max(scores["head"], scores["knn"]) + 0.005
    assert all(0 < bundle.calibrations[name].alpha < 1 for name in bundle.classes)


def test_the_default_is_fitted_and_each_view_is_careful_with_bad_faces(bundle: Bundle) -> None:
    assert bundle.default_labels == "blend"
    assert bundle.blend is not None and bundle.blend.weights is not None
    assert set(bundle.quality) == set(bundle.views)
    assert all(effect.hidden > 0 and effect.blurred > 0 for effect in bundle.quality.values())
    assert all(effect != QualityEffect() for effect in bundle.quality.values())
    everyday = bundle.meta["metrics"]["validation"]["blend"]["everyday"]
    assert everyday["accuracy"] > 0.79 and abs(everyday["gap"]) < 0.12
