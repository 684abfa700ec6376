"""Recognize expressions in crops: encode, search, combine head and votes, and apply what the user taught."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
import numpy.typing as npt

from moodspace.arrays import BoolArray, ByteArray, DoubleArray, FloatArray, IntArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.calibration import sharpen
from moodspace.classifier.ensemble import Prediction, calibrated_votes, combine, shifted_probabilities, vote
from moodspace.classifier.face_pictures import FacePictures
from moodspace.classifier.priors import adjust, class_frequencies
from moodspace.classifier.quality_effect import QualityEffect
from moodspace.classifier.taught_scores import (
    SUREST,
    TaughtScorer,
    TaughtScores,
    Whitening,
    common_classes,
    with_taught,
)
from moodspace.classifier.views import BLEND
from moodspace.embeddings.detection.quality import FaceQuality, assess_crops_alone
from moodspace.embeddings.encoder import Encoded
from moodspace.index.search import Neighbors
from moodspace.index.taught.search import TaughtIndex

# Added to the log-probabilities of each label set: `(C,)` for all faces or `(n, C)`.
Shift = Mapping[str, DoubleArray]


def max_neighbors(bundle: Bundle, view: str) -> int:
    """Return the largest number of neighbors that vote in a view of a bundle: a label set, or the blend."""
    return max(bundle.calibrations[name].k for name in _label_sets(bundle, view))


def calibrated_knn(
    bundle: Bundle, view: str, labels: Mapping[str, IntArray], similarities: FloatArray, rows: IntArray
) -> tuple[FloatArray, BoolArray]:
    """Return the calibrated votes of the nearest faces of a bundle's gallery, without the head.

    Args:
        bundle: The bundle with the calibrations and the blend.
        view: A label set, or the blend.
        labels: The gallery's labels, for each label set `(m,)` int64, -1 for none.
        similarities: `(n, k)` float32 cosine similarities of the nearest faces, best first.
        rows: `(n, k)` int64, their rows in the gallery, -1 if there is none.

    Returns:
        `(n, C)` float32, rows sum to 1, columns in the order of the view's classes; and `(n,)` bool, False where no
        neighbor voted and the row is uniform.
    """
    parts: dict[str, DoubleArray] = {}
    voted = np.zeros(len(rows), np.bool_)
    for name in _label_sets(bundle, view):
        calibration = bundle.calibrations[name]
        voted_for = np.append(labels[name], -1)[rows]
        votes = vote(similarities, voted_for, len(bundle.classes[name]), tau=calibration.tau, k=calibration.k)
        parts[name] = calibrated_votes(votes.proba, calibration)
        voted |= votes.voted
    proba = bundle.blend.mean(parts, bundle.classes) if view == BLEND and bundle.blend else parts[view]
    return proba.astype(np.float32), voted


def _label_sets(bundle: Bundle, view: str) -> list[str]:
    return list(bundle.blend.shares) if view == BLEND and bundle.blend else [view]


class Taught(Protocol):
    """A source of taught faces."""

    def current(self) -> TaughtIndex | None:
        """Return the current index of the user's gallery, the same object until it changes; None if there is none."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """The search results for n faces.

    Attributes:
        neighbors: The most similar faces of the bundle's gallery.
        taught_scores: The scores of the taught classes; None if nothing was taught.
    """

    neighbors: Neighbors
    taught_scores: TaughtScores | None


class Recognizer:
    """A bundle with one of its views chosen: a label set, or the blend of several.

    Args:
        bundle: The bundle.
        labels: The view to predict: a label set or "blend". None for the bundle's default.
        taught: The user's gallery, if any. Changes count from the next prediction on.
        prior: `(C,)` > 0, sums to 1, how common each class of the view is where the predictions are made; see
            `priors.read_prior`. None for the frequencies of the bundle's gallery.

    Attributes:
        pictures: The pictures of known faces, to show as evidence.

    Raises:
        ValueError: The bundle has no such view, or the prior another number of classes.
    """

    def __init__(
        self,
        bundle: Bundle,
        labels: str | None = None,
        taught: Taught | None = None,
        *,
        prior: DoubleArray | None = None,
    ) -> None:
        label_set = bundle.default_labels if labels is None else labels
        if label_set not in bundle.views:
            raise ValueError(f"labels: expected one of {sorted(bundle.views)}, got {label_set!r}")
        self.bundle = bundle
        self.label_set = label_set
        self.taught = taught
        self._blend = bundle.blend if label_set == BLEND else None
        self._scorer: TaughtScorer | None = None
        self.pictures = FacePictures.none()
        effect = bundle.quality.get(label_set, QualityEffect())
        self._quality = effect if effect != QualityEffect() else None
        if prior is not None and len(prior) != len(self.classes):
            raise ValueError(f"prior: expected a number for each of {', '.join(self.classes)}, got {len(prior)}")
        self.prior = prior
        self._gallery_prior = class_frequencies(self.gallery_labels, len(self.classes)) if prior is not None else None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the view's classes, in order. A prediction's `classes` are these, followed by taught ones."""
        return self.bundle.views[self.label_set]

    @property
    def gallery_labels(self) -> IntArray:
        """`(n,)` int64, the label of each face of the gallery, a column of `classes`; -1 for none."""
        labels = self.bundle.index.gallery.labels
        return self._blend.labels(labels, self.bundle.classes) if self._blend else labels[self.label_set]

    @property
    def scorer(self) -> TaughtScorer:
        """Scores faces by what the user taught; fitted to the bundle's gallery at first use."""
        if self._scorer is None:
            common = common_classes(self.gallery_labels, self.classes)
            self._scorer = TaughtScorer(self.bundle.index.gallery.embeddings, common, self.bundle.gate)
        return self._scorer

    @property
    def whitening(self) -> Whitening:
        """The whitening in which taught faces are compared."""
        return self.scorer.whitening

    @property
    def unknown_below(self) -> float:
        """The confidence, in [0, 1], below which a prediction is called unknown."""
        return (self._blend or self.bundle.calibrations[self.label_set]).unknown_below

    def predict(
        self, crops: ByteArray, quality: FaceQuality | None = None, *, shift: Shift | None = None
    ) -> Prediction:
        """Predict the expression of each face.

        Args:
            crops: `(n, 48, 48)` uint8 in [0, 255], gray, as `moodspace.embeddings.crops` makes them; `n = 0` is legal.
            quality: How well the faces can be read; it lowers the confidence. None to measure what the crops tell.
            shift: See `decide`.

        Returns:
            The prediction, one row per crop.
        """
        quality = assess_crops_alone(crops) if quality is None else quality
        return self.predict_encoded(self.bundle.encoder.encode(crops), quality, shift=shift)

    def predict_encoded(
        self, encoded: Encoded, quality: FaceQuality | None = None, *, shift: Shift | None = None
    ) -> Prediction:
        """Predict from encoded faces: `predict` without the encoder. Without quality no confidence is lowered."""
        return self.decide(encoded, self.search(encoded), quality, shift=shift)

    def untaught(self, encoded: Encoded, *, shift: Shift | None = None) -> Prediction:
        """Predict from encoded faces without what the user taught."""
        neighbors = self.bundle.index.search(encoded.embeddings, self._most_neighbors)
        return self._view_prediction(encoded, neighbors, None, shift)

    def search(self, encoded: Encoded) -> Evidence:
        """Find the most similar faces of the bundle's gallery and score the taught classes."""
        neighbors = self.bundle.index.search(encoded.embeddings, self._most_neighbors)
        index = self.taught.current() if self.taught else None
        if index is None or not len(index):
            return Evidence(neighbors, None)
        scores = self.scorer.score(encoded.embeddings, index)
        return Evidence(neighbors, self._with_other_label_sets(scores, encoded, neighbors))

    def _with_other_label_sets(self, scores: TaughtScores, encoded: Encoded, neighbors: Neighbors) -> TaughtScores:
        """Add the odds of taught classes that the view lacks and another label set of the bundle has.

        Contempt, taught in a view of FER2013's labels, is such a class: the FER+ head knows something about it. Where
        the taught faces give no odds, nothing is added.
        """
        odds = scores.odds.copy()
        for column, name in enumerate(scores.classes):
            for label_set, classes in self.bundle.classes.items():
                if name in self.classes or name not in classes:
                    continue
                calibration = self.bundle.calibrations[label_set]
                found = combine(encoded.logits[label_set], neighbors, calibration, label_set, classes)
                share = np.minimum(found.proba[:, classes.index(name)].astype(np.float64), SUREST)
                odds[:, column] += np.where(odds[:, column] > 0, share / (1 - share), 0.0)
        return replace(scores, odds=odds)

    def decide(
        self, encoded: Encoded, evidence: Evidence, quality: FaceQuality | None = None, *, shift: Shift | None = None
    ) -> Prediction:
        """Predict from encoded faces and the search results of the same faces.

        Args:
            encoded: The n faces.
            evidence: Their search results.
            quality: How well they can be read; None lowers no confidence.
            shift: For each label set `(C,)` or `(n, C)`, added to the log-probabilities of its classes, see
                `baseline.rest_of`; taught classes and the probabilities of head and votes are not shifted. None, and
                a label set that is missing, changes nothing.
        """
        prediction = self._view_prediction(encoded, evidence.neighbors, quality, shift)
        if evidence.taught_scores is None:
            return prediction
        return with_taught(prediction, evidence.taught_scores, self.label_set, self.unknown_below)

    @property
    def _most_neighbors(self) -> int:
        return max_neighbors(self.bundle, self.label_set)

    @property
    def label_sets(self) -> tuple[str, ...]:
        """The label sets that the view is made of."""
        return tuple(_label_sets(self.bundle, self.label_set))

    def _view_prediction(
        self, encoded: Encoded, neighbors: Neighbors, quality: FaceQuality | None, shift: Shift | None
    ) -> Prediction:
        bundle = self.bundle
        predictions = {
            name: combine(encoded.logits[name], neighbors, bundle.calibrations[name], name, bundle.classes[name])
            for name in (self._blend.shares if self._blend else [self.label_set])
        }
        for name, by in (shift or {}).items():
            if name in predictions:
                proba = shifted_probabilities(predictions[name].proba, by)
                unknown = proba.max(axis=1, initial=0.0) < bundle.calibrations[name].unknown_below
                predictions[name] = replace(predictions[name], proba=proba, unknown=unknown)
        prediction = self._blend.predict(predictions, neighbors) if self._blend else predictions[self.label_set]
        return self._adjusted(prediction, quality)

    def _adjusted(self, prediction: Prediction, quality: FaceQuality | None) -> Prediction:
        """Lower the confidence of faces that are hard to read, and adjust to the prior."""
        proba: DoubleArray | FloatArray = prediction.proba
        if quality is not None and self._quality is not None:
            proba = sharpen(proba, self._quality.temperature(quality)[:, None])
        if self.prior is not None and self._gallery_prior is not None:
            proba = adjust(proba, self._gallery_prior, self.prior)
        if proba is prediction.proba:
            return prediction
        proba = proba.astype(np.float32)
        return replace(prediction, proba=proba, unknown=proba.max(axis=1, initial=0.0) < self.unknown_below)

    def neighbor_names(self, prediction: Prediction, row: int) -> npt.NDArray[np.object_]:
        """Return the label of each neighbor of a face, `(k,)` strings, best first; None for a missing one or label."""
        neighbors = prediction.neighbors
        columns = np.where(neighbors.valid[row], neighbors.labels[self.label_set][row], -1)
        return np.array([*prediction.classes, None], np.object_)[columns]
