"""The benchmark of resting faces: labelled spans, traits, and the form in use."""

from pathlib import Path

import numpy as np
import pytest

from benchmarks.accuracy import baseline as benchmark
from moodspace.classifier.baseline import STRENGTH
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.encoder import Encoded
from tests.drawn_faces import plain_faces
from tests.fake_encoder import fake_bundle


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(fake_bundle(plain_faces(70, seed=1)))


def case(recognizer: Recognizer, faces: int = 140) -> benchmark.Case:
    drawn = plain_faces(faces, seed=2)
    encoded = recognizer.bundle.encoder.encode(drawn.crops)
    labels = np.array(drawn.classes)[drawn.labels]
    rest = np.flatnonzero(labels == "neutral")[:5]
    return benchmark.Case("plain", [(encoded.take(rest), encoded)], labels)


def test_the_form_in_use_is_the_shift_of_label_sets_at_the_strength(recognizer: Recognizer) -> None:
    (rest, faces), form = case(recognizer).people[0], benchmark.shift_label_sets(STRENGTH)
    used = benchmark.in_use(recognizer, rest, faces)
    np.testing.assert_allclose(form(recognizer, rest, faces), used, atol=1e-5)
    assert np.abs(used - benchmark.without(recognizer, rest, faces)).max() > 0.01


@pytest.mark.parametrize("name", [name for name in benchmark.FORMS if name != "no baseline"])
def test_each_form_returns_probabilities(recognizer: Recognizer, name: str) -> None:
    rest, faces = case(recognizer).people[0]
    proba = benchmark.FORMS[name](recognizer, rest, faces)
    assert proba.shape == (len(faces), 7) and proba.sum(axis=1) == pytest.approx(1, abs=1e-4)


def test_recalls_are_in_percent_and_leave_rare_classes_out(recognizer: Recognizer) -> None:
    found = benchmark.recalls(benchmark.without, case(recognizer), recognizer)
    assert set(found) == set(recognizer.classes) and all(0 <= value <= 100 for value in found.values())
    assert set(benchmark.recalls(benchmark.without, case(recognizer, 70), recognizer)) == {"neutral"}
    assert benchmark.mean_of_others({"neutral": 90.0, "sad": 40.0, "angry": 60.0}) == 50.0
    assert benchmark.mean_of_others({"neutral": 90.0}) is None


def test_a_trait_moves_parts_of_the_face() -> None:
    crops = np.zeros((1, 48, 48), np.uint8)
    crops[0, 13:16, 18:23] = 255
    moved = benchmark.warped(crops, benchmark.TRAITS["low brows"])
    assert np.average(np.arange(48), weights=moved[0].sum(axis=1)) > 15.5
    assert benchmark.warped(crops, ()) is crops


def test_spans_of_a_clip_become_a_case(shipped: Path, clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spans = {(clip.stem, 1): ((0.0, 0.15, "neutral"), (0.2, 0.5, "happy"))}
    monkeypatch.setattr(benchmark, "SPANS", spans)
    (found,) = benchmark.clip_cases(clip, Recognizer(load_bundle(shipped)))
    rest, faces = found.people[0]
    assert isinstance(rest, Encoded) and (len(rest), len(faces)) == (2, 3)
    assert found.labels.tolist() == ["happy"] * 3
    with pytest.raises(ValueError, match="expected a clip named like"):
        list(benchmark.clip_cases(clip.with_name("other.mp4"), Recognizer(load_bundle(shipped))))
