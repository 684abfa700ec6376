"""The confidence benchmark makes each scene, and fits factors that close the gap on faces they were not fitted to."""

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.accuracy.confidence import Judged, cross_fit, fit, judge, scenes, table
from moodspace.classifier.metrics import confidence_gap
from moodspace.classifier.quality_effect import QualityEffect
from moodspace.embeddings.encoder import encode_all
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle


def judged(name: str, fault: int, n: int, seed: int) -> Judged:
    """Faces of three classes, predicted at 0.8; right for 0.8 of them, or 0.5 if they have the fault."""
    rng = np.random.default_rng(seed)
    faults = np.zeros((n, 6))
    faults[: n // 2, fault] = 1.0
    right = rng.random(n) < np.where(np.arange(n) < n // 2, 0.5, 0.8)
    proba = np.tile([0.8, 0.1, 0.1], (n, 1))
    return Judged(name, "fer2013", proba, np.where(right, 0, 1), faults, rng.integers(0, 5, n))


@pytest.mark.parametrize("fault", [0, 2, 3, 4, 5])
def test_the_fit_finds_the_fault_that_costs_accuracy(fault: int) -> None:
    effect = fit([judged("corruption: x", fault, 2000, 0)], overall=False)
    factors = list(effect.to_json().values())[1:]
    assert int(np.argmax(factors)) == fault
    assert effect.overall == effect.grainy == 0
    assert sum(factor > 0.01 for factor in factors) == 1


def test_the_gap_closes_on_faces_of_other_folds() -> None:
    before = judged("validation", 3, 4000, 1)
    (after,) = cross_fit([before], overall=True)
    gaps = [abs(confidence_gap(one.proba, one.labels)) for one in (before, after)]
    assert gaps[0] > 0.12 > 0.03 > gaps[1]
    np.testing.assert_allclose(after.proba.sum(axis=1), 1)


def test_all_scenes_are_made_and_each_truth_of_the_blend_is_scored() -> None:
    bundle, faces = fake_bundle(drawn_faces(60, seed=0, votes=True)), drawn_faces(8, seed=1, votes=True)
    made = list(scenes(faces, None, limit=2))
    names = {scene.name for scene in made}
    assert {"validation", "corruption: low resolution", "corruption: sensor noise", "cover: mask"} <= names
    small = next(scene for scene in made if scene.name == "corruption: low resolution")
    np.testing.assert_array_equal(small.quality.size, 24)
    encoded = [(scene, encode_all(bundle.encoder, scene.faces.crops)) for scene in made]
    found = judge(bundle, "blend", encoded)
    assert {one.truth for one in found} == {"fer2013", "ferplus"}
    assert {one.truth for one in judge(bundle, "fer2013", encoded)} == {"fer2013"}
    assert len({(one.scene, one.truth) for one in found}) == len(found)
    assert "| validation | fer2013 | 8 |" in table("blend", found)
    careful = replace(bundle, quality={"blend": QualityEffect(overall=1.0)})
    for plain, lowered in zip(found, judge(careful, "blend", encoded), strict=True):
        assert lowered.proba.max() < plain.proba.max()
