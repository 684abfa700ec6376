import numpy as np
import pytest

from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.recognizer import Recognizer, calibrated_knn, max_neighbors
from moodspace.embeddings.data.labelled import LabelledFaces


@pytest.mark.parametrize("view", ["fer2013", "ferplus", "blend"])
def test_they_are_the_recognisers_votes(bundle: Bundle, other_faces: LabelledFaces, view: str) -> None:
    prediction = Recognizer(bundle, view).predict(other_faces.crops)
    neighbors = prediction.neighbors
    rows = bundle.index.rows(neighbors.ids)
    proba, voted = calibrated_knn(bundle, view, bundle.index.gallery.labels, neighbors.similarities, rows)
    assert proba == pytest.approx(prediction.knn_proba, abs=1e-6)
    assert voted.all()


def test_as_many_vote_as_the_most_asking_label_set_wants(bundle: Bundle) -> None:
    assert max_neighbors(bundle, "fer2013") == bundle.calibrations["fer2013"].k
    assert max_neighbors(bundle, "blend") == max(calibration.k for calibration in bundle.calibrations.values())


@pytest.mark.parametrize("view", ["fer2013", "blend"])
def test_where_nobody_votes_nothing_is_said(bundle: Bundle, view: str) -> None:
    similarities, nobody = np.full((2, 3), -1, np.float32), np.full((2, 3), -1)
    proba, voted = calibrated_knn(bundle, view, bundle.index.gallery.labels, similarities, nobody)
    assert not voted.any()
    assert proba == pytest.approx(1 / proba.shape[1])
    empty = {name: np.empty(0, np.int64) for name in bundle.classes}
    assert not calibrated_knn(bundle, view, empty, similarities, nobody)[1].any()
