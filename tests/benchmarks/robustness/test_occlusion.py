"""The benchmark of covered faces covers what it says, fits weights that tell covers, and tells the curve."""

import numpy as np
import pytest

from benchmarks.robustness.covers import FITTED_TEXTURES, MEASURED_TEXTURES, MOUTH, OTHERS, WHOLE, covered
from benchmarks.robustness.occlusion import Scores, fitted, measure_covers, table, training_faces, weights_text
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.occlusion import MOST_HIDDEN, edges
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle

FACES = drawn_faces(28, seed=6)


@pytest.mark.parametrize("name", [*MOUTH, *WHOLE, *OTHERS])
def test_a_cover_hides_its_part_the_same_way_each_time(name: str) -> None:
    cover = {**MOUTH, **WHOLE, **OTHERS}[name]
    made = covered(FACES.crops, cover, MEASURED_TEXTURES, 1)
    np.testing.assert_array_equal(made, covered(FACES.crops, cover, MEASURED_TEXTURES, 1))
    changed = np.abs(made.astype(int) - FACES.crops) > 3
    if name in MOUTH:
        assert changed[:, 33:40, 18:31].mean() > 0.6
    if name in ("mask", "lower half", "bar over the mouth", "hand", "picture's edge"):
        assert changed[:, :14].mean() == 0
    if name == "bar over the eyes":
        assert changed[:, 30:].mean() == 0


def test_textures_to_fit_on_and_to_measure_with_are_other_ones() -> None:
    assert not set(FITTED_TEXTURES) & set(MEASURED_TEXTURES)


def test_fitted_weights_tell_covered_faces() -> None:
    crops, targets = training_faces(FACES.crops)
    weights, bias = fitted(edges(crops), targets)
    logits = edges(crops) @ weights + bias
    assert ((logits > 0) == targets).mean() > 0.9
    values: dict[str, object] = {}
    exec(weights_text(weights, bias), values)
    np.testing.assert_allclose(values["WEIGHTS"], weights, atol=0.006)


def test_shares_are_counted_by_threshold() -> None:
    scores = Scores(
        np.array([0.1, 0.9, 0.5, 0.1], np.float32),
        np.array([False, False, False, True]),
        np.array([True, True, False, True]),
        np.array([True, True, True, True]),
    )
    assert (scores.unreadable(0.6), scores.unreadable(0.4), scores.unknown(0.6)) == (0.5, 0.75, 0.5)
    assert scores.right_of_known(0.6) == 0.5
    assert np.isnan(scores.right_of_known(0.0))


def test_the_table_has_a_row_for_clear_faces_and_each_cover() -> None:
    scores = measure_covers(FACES.crops, FACES.labels, Recognizer(fake_bundle(drawn_faces(70, seed=0)), "fer2013"))
    lines = table(scores).splitlines()
    assert [line.split(" | ")[0][2:] for line in lines[2:]] == ["clear", *MOUTH, *WHOLE, *OTHERS]
    assert f"{MOST_HIDDEN:g}" in lines[0]
    assert scores["mask"].unreadable(MOST_HIDDEN) > scores["clear"].unreadable(MOST_HIDDEN)
