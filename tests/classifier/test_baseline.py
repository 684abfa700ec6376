"""A resting face as zero: what is subtracted, what is refused, and how it is kept in a file."""

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodspace.classifier import baseline as baselines
from moodspace.classifier.baseline import (
    STRENGTH,
    Baseline,
    BaselineError,
    RefusedBaselineError,
    delete_baseline,
    load_baseline,
    measure_baseline,
    refusal,
    rest_of,
    typical_neutral,
)
from moodspace.classifier.ensemble import shifted_probabilities
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.encoder import Encoded
from moodspace.index.taught.faces import LIVE, NewFaces
from moodspace.index.taught.gallery import open_taught
from moodspace.index.taught.search import TaughtIndex
from tests.drawn_faces import drawn_faces, plain_faces
from tests.fake_encoder import fake_bundle

CLASSES = ("angry", "fear", "happy", "neutral", "tired")


@pytest.fixture(scope="module")
def recognizer() -> Recognizer:
    return Recognizer(fake_bundle(plain_faces(70, seed=1)))


def encoded(recognizer: Recognizer, name: str, n: int = 12) -> Encoded:
    faces = plain_faces(7 * n, seed=2)
    return recognizer.bundle.encoder.encode(faces.crops[faces.labels == faces.classes.index(name)])


def stern(recognizer: Recognizer, faces: Encoded, by: float = 4.0) -> Encoded:
    """Return faces that the network finds angrier."""
    logits = {name: values.copy() for name, values in faces.logits.items()}
    for name, values in logits.items():
        values[:, recognizer.bundle.classes[name].index("angry")] += by
    return Encoded(faces.embeddings, logits)


def test_half_of_the_difference_from_typical_neutral_faces_is_subtracted(recognizer: Recognizer) -> None:
    rest = stern(recognizer, encoded(recognizer, "neutral"))
    baseline = Baseline.mean(rest, "fake")
    neutral = recognizer.classes.index("neutral")
    read = np.log(recognizer.untaught(baseline.encoded()).proba[0].astype(np.float64))
    typical = typical_neutral(recognizer.bundle, "fer2013")
    found = rest_of(baseline, recognizer)
    assert found.shift["fer2013"] == pytest.approx(
        -STRENGTH * ((read - read[neutral]) - (typical - typical[neutral])), abs=1e-3
    )
    assert found.shift["fer2013"][neutral] == 0 and found.shift["fer2013"][recognizer.classes.index("angry")] < -0.5
    assert found.proba.sum() == pytest.approx(1) and found.proba[neutral] > np.exp(read[neutral])


def test_each_label_set_of_a_blend_is_shifted_before_they_are_blended() -> None:
    drawn = drawn_faces(70, seed=1, votes=True)
    recognizer = Recognizer(fake_bundle(drawn), "blend")
    rest = stern(recognizer, recognizer.bundle.encoder.encode(drawn.crops[drawn.labels == 4]), by=6.0)
    found = rest_of(Baseline.mean(rest, "fake"), recognizer)
    assert set(found.shift) == set(recognizer.label_sets) == {"fer2013", "ferplus"}
    for name, shift in found.shift.items():
        alone = rest_of(Baseline.mean(rest, "fake"), Recognizer(recognizer.bundle, name))
        np.testing.assert_array_equal(shift, alone.shift[name])
    classes = {name: recognizer.bundle.classes[name] for name in found.shift}
    parts = {
        name: Recognizer(recognizer.bundle, name).predict_encoded(rest, shift=found.shift).proba for name in found.shift
    }
    blended = recognizer.bundle.blend.mean(parts, classes)
    np.testing.assert_allclose(recognizer.predict_encoded(rest, shift=found.shift).proba, blended, atol=1e-5)


def test_a_face_that_is_clearly_neutral_at_rest_is_not_shifted(recognizer: Recognizer) -> None:
    neutral = recognizer.classes.index("neutral")
    more = np.zeros(len(recognizer.classes), np.float32)
    more[neutral] = 9.0
    faces = encoded(recognizer, "neutral")
    clear = Encoded(faces.embeddings, {name: values + more for name, values in faces.logits.items()})
    found = rest_of(Baseline.mean(clear, "fake"), recognizer)
    assert not found.shift["fer2013"].any()
    np.testing.assert_array_equal(found.proba, recognizer.untaught(Baseline.mean(clear, "fake").encoded()).proba[0])


@pytest.mark.numeric
def test_a_stern_face_at_rest_reads_neutral_and_its_smile_happy(recognizer: Recognizer) -> None:
    rest = stern(recognizer, encoded(recognizer, "neutral"))
    smile = stern(recognizer, encoded(recognizer, "happy"))
    neutral, happy = (recognizer.classes.index(name) for name in ("neutral", "happy"))
    shift = rest_of(Baseline.mean(rest, "fake"), recognizer).shift
    before, after = recognizer.predict_encoded(rest), recognizer.predict_encoded(rest, shift=shift)
    assert (after.proba[:, neutral] > before.proba[:, neutral] + 0.02).all()
    assert (recognizer.predict_encoded(smile, shift=shift).labels == happy).all()


def test_typical_neutral_is_the_vote_of_the_other_faces() -> None:
    """With one other neutral face far away, a face that could vote for itself would look neutral."""
    faces = plain_faces(70, seed=1)
    keep = np.flatnonzero(faces.labels != 4).tolist() + np.flatnonzero(faces.labels == 4)[:2].tolist()
    few = replace(
        faces, crops=faces.crops[keep], labels=faces.labels[keep], twin=faces.twin[keep],
        sources=tuple(faces.sources[row] for row in keep),
    )  # fmt: skip
    bundle = fake_bundle(few)
    gallery = bundle.index.gallery
    rows = np.flatnonzero(gallery.labels["fer2013"] == 4)
    calibration = bundle.calibrations["fer2013"]
    expected = []
    for row in rows:
        likeness = gallery.embeddings @ gallery.embeddings[row]
        likeness[row] = -2
        best = np.argsort(-likeness)[: calibration.k]
        weights = np.exp((likeness[best] - 1) / calibration.tau)
        shares = np.bincount(gallery.labels["fer2013"][best], weights, minlength=7)
        expected.append(np.log(np.maximum(shares / shares.sum(), 1e-6)))
    assert typical_neutral(bundle, "fer2013") == pytest.approx(np.mean(expected, axis=0), abs=1e-3)


def test_rows_without_a_shift_do_not_change(recognizer: Recognizer) -> None:
    faces = encoded(recognizer, "sad", 2)
    shift = np.zeros((2, len(recognizer.classes)))
    shift[1, 0] = 3.0
    plain, shifted = recognizer.predict_encoded(faces), recognizer.predict_encoded(faces, shift={"fer2013": shift})
    assert shifted.proba[0] == pytest.approx(plain.proba[0], abs=1e-6)
    assert shifted.proba[1, 0] > plain.proba[1, 0]
    np.testing.assert_array_equal(shifted.head_proba, plain.head_proba)
    assert shifted_probabilities(np.zeros((0, 3)), np.zeros(3)).shape == (0, 3)


def test_a_shift_decides_anew_what_is_unknown(recognizer: Recognizer) -> None:
    faces = encoded(recognizer, "neutral", 1)
    flat = -np.log(recognizer.predict_encoded(faces).proba[0].astype(np.float64))
    assert not recognizer.predict_encoded(faces).unknown[0]
    assert recognizer.predict_encoded(faces, shift={"fer2013": flat}).unknown[0]


def test_taught_classes_are_not_shifted(tmp_path: Path) -> None:
    bundle = fake_bundle(plain_faces(70, seed=1))
    crop = drawn_faces(1, seed=9).crops
    with open_taught(tmp_path / "gallery", encoder="fake", dim=16, create=True) as gallery:
        gallery.add(NewFaces(bundle.encoder.encode(crop).embeddings, ["tired"], [LIVE], [""]))

        class Taught:
            def current(self) -> TaughtIndex:
                return gallery.snapshot()

        recognizer = Recognizer(bundle, taught=Taught())
        shift = np.linspace(-2, 2, 7)
        plain, shifted = recognizer.predict(crop), recognizer.predict(crop, shift={"fer2013": shift})
    assert plain.classes[-1] == shifted.classes[-1] == "tired"
    assert shifted.proba[0, -1] == pytest.approx(plain.proba[0, -1], abs=1e-6) and plain.proba[0, -1] > 0.9


def readings(monkeypatch: pytest.MonkeyPatch, recognizer: Recognizer, rows: list[list[float]]) -> Encoded:
    """Let the recognizer read these probabilities of `CLASSES` in as many frames."""
    n, proba = len(rows), np.array(rows, np.float32)
    prediction = recognizer.untaught(encoded(recognizer, "neutral", n))
    read = replace(prediction, classes=CLASSES, proba=proba, head_proba=proba, knn_proba=proba)
    monkeypatch.setattr(Recognizer, "untaught", lambda self, faces: read)
    return encoded(recognizer, "neutral", n)


def test_a_smile_is_refused(monkeypatch: pytest.MonkeyPatch, recognizer: Recognizer) -> None:
    faces = readings(monkeypatch, recognizer, [[0, 0, 0.8, 0.2, 0]] * 6)
    assert refusal(recognizer, faces, 6) == "the face shows happy (80 %), it is not at rest; look relaxed and try again"


@pytest.mark.parametrize(
    ("name", "share", "asked", "refused"),
    [
        ("happy", 0.69, True, False), ("happy", 0.71, True, True), ("tired", 0.71, True, True),
        ("angry", 0.94, True, False), ("angry", 0.96, True, True), ("angry", 0.79, False, False),
        ("angry", 0.81, False, True), ("neutral", 1.0, False, False),
    ],
)  # fmt: skip
def test_a_resting_face_may_look_angry_but_not_happy(
    monkeypatch: pytest.MonkeyPatch, recognizer: Recognizer, name: str, share: float, asked: bool, refused: bool
) -> None:
    row = [share if one == name else (1 - share) / 4 for one in CLASSES]
    faces = readings(monkeypatch, recognizer, [row] * 6)
    assert bool(refusal(recognizer, faces, 6, asked=asked)) is refused


def test_an_expression_that_changed_is_refused(monkeypatch: pytest.MonkeyPatch, recognizer: Recognizer) -> None:
    calm, glad = [0, 0, 0.1, 0.9, 0], [0, 0, 0.9, 0.1, 0]
    assert "changed while it was measured" in refusal(
        recognizer, readings(monkeypatch, recognizer, [calm] * 4 + [glad] * 4), 8
    )
    monkeypatch.undo()
    slightly = [[0, 0, 0.1 + 0.02 * i, 0.9 - 0.02 * i, 0] for i in range(8)]
    assert refusal(recognizer, readings(monkeypatch, recognizer, slightly), 8) == ""


@pytest.mark.parametrize(
    ("frames", "looked", "refused"), [(4, 5, True), (5, 5, False), (5, 11, True), (6, 12, False), (1, 3, True)]
)
def test_too_few_readable_frames_are_refused(recognizer: Recognizer, frames: int, looked: int, refused: bool) -> None:
    reason = refusal(recognizer, encoded(recognizer, "neutral", frames), looked)
    assert reason == (
        f"the face could be read in {frames} of {looked} frames; face the camera in good light and try again"
        if refused
        else ""
    )


def test_too_few_frames_in_all_are_refused(recognizer: Recognizer) -> None:
    reason = refusal(recognizer, encoded(recognizer, "neutral", 4), 4)
    assert reason == "expected at least 5 frames of the face, got 4; measure it for longer"


def test_a_refused_baseline_is_no_baseline(recognizer: Recognizer) -> None:
    with pytest.raises(RefusedBaselineError, match="0 of 7 frames"):
        measure_baseline(recognizer, Encoded(np.zeros((0, 16), np.float32), {}), 7)
    assert RefusedBaselineError.exit_code == 1
    measured = measure_baseline(recognizer, encoded(recognizer, "neutral", 6))
    assert (measured.frames, measured.encoder) == (6, "fake")
    assert np.linalg.norm(measured.embedding) == pytest.approx(1)


def test_a_view_without_neutral_has_no_baseline() -> None:
    faces = drawn_faces(14, seed=1, classes=("angry", "happy"))
    recognizer = Recognizer(fake_bundle(faces))
    with pytest.raises(BaselineError, match="expected a view with the class neutral, got angry, happy"):
        measure_baseline(recognizer, recognizer.bundle.encoder.encode(faces.crops))


def test_a_file_gives_back_what_was_saved(tmp_path: Path, recognizer: Recognizer) -> None:
    measured = measure_baseline(recognizer, encoded(recognizer, "neutral"))
    path = tmp_path / "me.json"
    measured.save(path)
    assert [one.name for one in tmp_path.iterdir()] == ["me.json"]
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    loaded = load_baseline(path, recognizer.bundle)
    assert rest_of(loaded, recognizer).shift["fer2013"] == pytest.approx(
        rest_of(measured, recognizer).shift["fer2013"], abs=1e-4
    )
    assert loaded.frames == measured.frames
    delete_baseline(path)
    assert not path.exists()


def test_a_file_of_another_bundle_is_refused(tmp_path: Path, recognizer: Recognizer) -> None:
    replace(measure_baseline(recognizer, encoded(recognizer, "neutral")), encoder="another").save(tmp_path / "me.json")
    with pytest.raises(BaselineError, match=r"me\.json: expected a baseline of this bundle, got one of another"):
        load_baseline(tmp_path / "me.json", recognizer.bundle)
    assert BaselineError.exit_code == 3


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "expected a saved baseline, got none"),
        ("rubble", "got another kind of file"),
        ("[]", "got another kind of file"),
        ('{"format": "moodspace-baseline", "version": 2}', "expected a baseline of version 1, got 2"),
        ('{"format": "moodspace-baseline", "version": 1}', "got a damaged one"),
        (
            '{"format": "moodspace-baseline", "version": 1, "embedding": [NaN], "logits": {}, "frames": 1, '
            '"encoder": "fake"}',
            "got a damaged one",
        ),
        (
            '{"format": "moodspace-baseline", "version": 1, "embedding": [0.5], "logits": {}, "frames": 1, '
            '"encoder": "fake"}',
            "got a damaged one",
        ),
        (
            '{"format": "moodspace-baseline", "version": 1, "embedding": [1.0], "logits": {}, "frames": Infinity, '
            '"encoder": "fake"}',
            "got a damaged one",
        ),
        ("[" * 100_000, "got another kind of file"),
    ],
)
def test_another_file_is_refused_in_one_line(
    tmp_path: Path, recognizer: Recognizer, content: str | None, expected: str
) -> None:
    path = tmp_path / "me.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(BaselineError, match=expected) as caught:
        load_baseline(path, recognizer.bundle)
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_only_a_baseline_is_deleted(tmp_path: Path) -> None:
    (tmp_path / "letter.json").write_text(json.dumps({"dear": "reader"}))
    with pytest.raises(BaselineError):
        delete_baseline(tmp_path / "letter.json")
    assert (tmp_path / "letter.json").exists()
    assert baselines.FORMAT == "moodspace-baseline"
