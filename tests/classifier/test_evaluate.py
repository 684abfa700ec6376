"""Evaluation scores the recognizer's own predictions, against the right truth, over the classes both sides know."""

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn import metrics as oracle

from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.evaluation import evaluate, score_faces
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.data.labelled import LabelledFaces, label_sets
from moodspace.embeddings.data.labels import FER2013_CLASSES, FERPLUS_CLASSES


def renamed(faces: LabelledFaces, names: dict[str, str]) -> LabelledFaces:
    """Only the faces of these classes, under other names."""
    kept = faces.take(np.isin(faces.labels, [faces.classes.index(name) for name in names]))
    classes = tuple(sorted(names.values()))
    labels = np.array([classes.index(names[faces.classes[label]]) for label in kept.labels], np.int64)
    return replace(kept, labels=labels, classes=classes)


@pytest.mark.parametrize("label_set", ["fer2013", "ferplus"])
def test_scores_are_those_of_the_predictions(bundle: Bundle, other_faces: LabelledFaces, label_set: str) -> None:
    labels = label_sets(other_faces)[label_set].labels
    known = labels >= 0
    prediction = Recognizer(bundle, label_set).predict(other_faces.crops[known])
    found = evaluate(bundle, other_faces, label_set)
    assert found.n == known.sum()
    assert found.label_set == label_set
    for scores, proba in (
        (found.head, prediction.head_proba),
        (found.knn, prediction.knn_proba),
        (found.ensemble, prediction.proba),
    ):
        assert scores.accuracy == pytest.approx(np.mean(proba.argmax(axis=1) == labels[known]))
        assert scores.nll == pytest.approx(
            oracle.log_loss(labels[known], proba, labels=range(proba.shape[1])), rel=1e-4
        )
    expected = oracle.confusion_matrix(labels[known], prediction.labels, labels=range(len(found.classes)))
    np.testing.assert_array_equal(found.confusion, expected)


def test_unknown_faces_are_those_that_the_recognizer_calls_so(bundle: Bundle, other_faces: LabelledFaces) -> None:
    strict = replace(
        bundle, calibrations={name: replace(c, unknown_below=0.6) for name, c in bundle.calibrations.items()}
    )
    prediction = Recognizer(strict).predict(other_faces.crops)
    hits = prediction.labels == other_faces.labels
    found = evaluate(strict, other_faces).coverage
    assert 0.1 < found.known < 0.9
    assert found.known == pytest.approx(np.mean(~prediction.unknown))
    assert found.known_accuracy == pytest.approx(np.mean(hits[~prediction.unknown]))
    assert found.accuracy_at[0] == pytest.approx(hits.mean())
    surest = np.argsort(-prediction.confidence, kind="stable")[:35]
    assert found.accuracy_at[-1] == pytest.approx(hits[surest].mean())


def test_faces_without_a_majority_are_not_scored(bundle: Bundle, other_faces: LabelledFaces) -> None:
    assert other_faces.votes is not None
    votes = other_faces.votes.copy()
    votes[:7] = 0
    known = label_sets(other_faces)["ferplus"].labels >= 0
    assert known[:7].any()
    assert evaluate(bundle, replace(other_faces, votes=votes), "ferplus").n == known[7:].sum()


def test_twins_are_left_out_of_one_row_only(bundle: Bundle, other_faces: LabelledFaces) -> None:
    labels = Recognizer(bundle).predict(other_faces.crops).labels
    found = evaluate(bundle, replace(other_faces, twin=labels != other_faces.labels))
    assert found.ensemble_without_twins.accuracy == 1
    assert found.ensemble.accuracy < 1
    assert found.n == len(other_faces)


def test_other_data_are_scored_over_the_shared_classes(bundle: Bundle, other_faces: LabelledFaces) -> None:
    faces = renamed(other_faces, {"happy": "joy", "neutral": "neutral", "fear": "startled"})
    found = evaluate(bundle, replace(faces, votes=None))
    columns = [FER2013_CLASSES.index(name) for name in ("happy", "neutral")]
    shared = faces.take(faces.labels != faces.classes.index("startled"))
    proba = Recognizer(bundle).predict(shared.crops).proba[:, columns]
    truth = (shared.labels == shared.classes.index("neutral")).astype(np.int64)
    assert found.classes == ("happy", "neutral")
    assert found.n == len(shared) == 20
    assert found.ensemble.accuracy == pytest.approx(np.mean(proba.argmax(axis=1) == truth))
    assert found.ensemble.nll == pytest.approx(
        oracle.log_loss(truth, proba / proba.sum(axis=1, keepdims=True)), rel=1e-4
    )


def test_without_votes_the_datas_own_classes_stand_in(bundle: Bundle, other_faces: LabelledFaces) -> None:
    found = evaluate(bundle, replace(other_faces, votes=None), "ferplus")
    assert found.classes == FERPLUS_CLASSES[:7]
    assert found.n == len(other_faces)
    recalls = dict(zip(found.classes, found.per_class.n, strict=True))
    assert recalls == dict.fromkeys(FER2013_CLASSES, 10)


def test_votes_outside_the_shared_classes_leave_a_finite_score(bundle: Bundle, other_faces: LabelledFaces) -> None:
    votes_only = replace(
        bundle, calibrations={name: replace(c, alpha=0.0, k=1) for name, c in bundle.calibrations.items()}
    )
    found = evaluate(votes_only, replace(renamed(other_faces, {"happy": "happy", "sad": "sad"}), votes=None))
    assert np.isfinite([found.knn.nll, found.ensemble.nll, found.ensemble.ece]).all()


def test_json_has_the_promised_shape(bundle: Bundle, other_faces: LabelledFaces) -> None:
    found = evaluate(bundle, replace(other_faces, twin=np.ones(len(other_faces), np.bool_)))
    document = json.loads(json.dumps(found.to_json(), allow_nan=False))
    scores = {"accuracy", "macro_f1", "ece", "nll"}
    four = ["head", "knn", "ensemble", "ensemble_without_twins"]
    further = ["retrieval", "coverage", "per_class", "confusion", "classes"]
    assert list(document) == ["n", "left_out", "label_set", *four, *further]
    assert document["left_out"] == {"n": 0, "classes": {}, "unlabelled": 0}
    assert set(document["retrieval"]) == {"recall_at_1", "recall_at_5", "map_at_r"}
    assert list(document["coverage"]["accuracy_at"]) == ["100%", "90%", "80%", "70%", "50%"]
    assert all(set(document[name]) == scores for name in four)
    assert set(document["ensemble_without_twins"].values()) == {None}
    assert list(document["per_class"]) == document["classes"] == list(FER2013_CLASSES)
    assert document["per_class"]["happy"]["n"] == 10
    assert np.sum(document["confusion"]) == document["n"] == 70


def test_progress_counts_to_the_end(bundle: Bundle, other_faces: LabelledFaces) -> None:
    steps: list[tuple[int, int]] = []
    evaluate(bundle, other_faces, progress=lambda done, total: steps.append((done, total)))
    assert steps == [(70, 70)]


@pytest.mark.parametrize("nobody", [True, False])
def test_data_that_share_nothing_are_refused(bundle: Bundle, other_faces: LabelledFaces, nobody: bool) -> None:
    faces = replace(renamed(other_faces, {"happy": "confused", "sad": "bored"}), votes=None)
    with pytest.raises(ValueError, match="choose another label set"):
        evaluate(bundle, faces.take(slice(0, 0)) if nobody else faces)


def test_faces_that_were_encoded_before_score_the_same(bundle: Bundle, other_faces: LabelledFaces) -> None:
    encoded = bundle.encoder.encode(other_faces.crops)
    anew, before = score_faces(bundle, other_faces), score_faces(bundle, other_faces, encoded=encoded)
    np.testing.assert_array_equal(before.rows, anew.rows)
    np.testing.assert_allclose(before.ensemble, anew.ensemble, atol=1e-6)
    np.testing.assert_allclose(before.embeddings, encoded.embeddings[anew.rows], atol=1e-6)
