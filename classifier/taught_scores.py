"""Score the classes that a user taught by example, and let the scores change a prediction.

Each taught class has odds against the prediction without it. Far from all taught faces the odds are exactly 0 and the
prediction does not change. Otherwise p becomes (1 - g) p + g v, where v are the normalized odds and g / (1 - g) is
their sum: classes that the network has never seen get a share, and the rest is scaled so that the sum stays 1.

The odds have an upper limit. If several classes reach it, the one with the nearest face wins (`nearest_wins`), so that
a taught picture is recognized among similar ones. If two are equally near, the face is unknown.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Protocol, Self

import numpy as np
import numpy.typing as npt

from moodspace.arrays import BoolArray, ByteArray, DoubleArray, FloatArray, IntArray
from moodspace.classifier.ensemble import Prediction
from moodspace.embeddings.encoder import Encoder
from moodspace.index.search import Neighbors
from moodspace.index.taught.faces import TAUGHT
from moodspace.index.taught.search import FoundFaces

# Share of the mean variance that is added to the variance of each direction, as a ridge. From 0.001 to 0.01 near copies
# and other faces are separated equally well; 0.4 is five times worse (`benchmarks/accuracy/teach.py`).
_RIDGE = 0.004


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """A linear map that makes the covariance of face embeddings isotropic.

    Attributes:
        mean: `(d,)` float32, the mean embedding.
        transform: `(d, d)` float32, applied from the right to an embedding minus the mean.
    """

    mean: FloatArray
    transform: FloatArray

    @classmethod
    def fit(cls, embeddings: FloatArray) -> Self:
        """Fit mean and covariance.

        Args:
            embeddings: `(n, d)` float32, rows L2-normalized, of many faces. The fewer there are, the less the result
                whitens, because few faces estimate the covariance badly.
        """
        n, d = embeddings.shape
        if n < 2:
            return cls(np.zeros(d, np.float32), np.eye(d, dtype=np.float32))
        mean = embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
        rest = embeddings - mean
        covariance = (rest.T @ rest).astype(np.float64) / n
        spread = max(float(np.trace(covariance)) / d, 1e-12)
        values, vectors = np.linalg.eigh(covariance + (_RIDGE + d / n) * spread * np.eye(d))
        return cls(mean, (vectors / np.sqrt(values)).astype(np.float32))

    def __call__(self, embeddings: FloatArray) -> FloatArray:
        """Whiten embeddings, `(..., d)` float32, and scale each to unit length."""
        rows = (embeddings - self.mean) @ self.transform
        length = np.linalg.norm(rows, axis=-1, keepdims=True)
        return np.asarray(rows / np.maximum(length, 1e-12), np.float32)


_SHIFTS = ((0, 1), (1, 0), (0, -1), (-1, 0), (0, 2), (2, 0), (0, -2), (-2, 0), (1, 1), (2, 2), (-2, -2))
_BRIGHTNESS = (20, -20)


def perturbations(crops: ByteArray) -> dict[str, ByteArray]:
    """Return slightly changed copies of faces: mirrored, shifted, brighter and darker.

    Args:
        crops: `(n, 48, 48)` uint8 in [0, 255], gray.

    Returns:
        Arrays of that shape by name: the mirror image; shifts by one or two pixels, with the last row or column
        repeated at the edge; 20 gray levels brighter and darker.
    """
    copies = {"flip": np.ascontiguousarray(crops[:, :, ::-1])}
    margin = max(abs(step) for shift in _SHIFTS for step in shift)
    padded = np.pad(crops, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    height, width = crops.shape[1:]
    for down, right in _SHIFTS:
        top, left = margin - down, margin - right
        copies[f"shift {down} {right}"] = np.ascontiguousarray(padded[:, top : top + height, left : left + width])
    for levels in _BRIGHTNESS:
        copies[f"brightness {levels:+d}"] = np.clip(crops.astype(np.int16) + levels, 0, 255).astype(np.uint8)
    return copies


# The largest share of a taught class by itself: the network keeps the rest.
SUREST = 0.98
# A taught face this similar is the same picture, up to rounding: the gate is open, however many examples there are.
ITSELF = 0.999
# The mean of a class counts at most as much as a face whose similarity is this much above that of an open gate.
_MEAN_AT_MOST = 0.03
# Share of near copies that may get odds below 1. They still win where the network is unsure.
_MISSED = 0.045
SUREST_ODDS = SUREST / (1 - SUREST)


@dataclass(frozen=True, slots=True)
class Gate:
    """The whitened similarities at which taught faces change a prediction; stored in a bundle's manifest.

    The nearest taught face of a class opens the gate by its similarity. For a class that the network does not know, the
    mean of the examples opens it too: by its similarity, counted in standard deviations of the similarities that the
    bundle's own faces have to it. Both are smooth steps from exactly 0 to nearly 1.

    `closeness` is fitted to near copies of validation faces. The other values were chosen on the validation split with
    `benchmarks/accuracy/teach.py`, so that up to 20 examples of a new class overrule fewer than 0.5 % of right answers.

    Attributes:
        closeness: Similarity to the only example of a class at which the gate is half open, in (0, 1).
        crowding: How fast that similarity rises with the number n of examples, 1 - (1 - closeness) * n ** -crowding,
            because one of many examples is near by chance.
        closeness_width: Half the width of the step.
        deviations: Standard deviations at which the mean of a new class opens the gate half.
        deviations_by_example: Added for each e-fold more examples, whose mean is more certain.
        deviations_by_class: Added for each e-fold more new classes, so that more classes do not claim more faces.
        deviations_width: Half the width of the step.
        least_examples: Examples that a new class needs for its mean to count.

    Raises:
        ValueError: A value is outside its range.
    """

    closeness: float = 0.78
    crowding: float = 0.12
    closeness_width: float = 0.06
    deviations: float = 3.45
    deviations_by_example: float = 0.19
    deviations_by_class: float = 0.7
    deviations_width: float = 1.4
    least_examples: int = 3

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not (math.isfinite(value) and value > 0)
            ):
                raise ValueError(f"gate, {field.name}: expected a finite number > 0, got {value!r}")
        if self.closeness >= 1:
            raise ValueError(f"gate, closeness: expected a number below 1, got {self.closeness}")

    def to_json(self) -> dict[str, float]:
        """Return the values by name, ready for `json.dumps`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote.

        Raises:
            ValueError: A value is unknown, of another type or outside its range.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"gate: expected the values {[field.name for field in fields(cls)]}: {error}") from error

    def near_odds(self, similarity: npt.NDArray[np.floating], examples: npt.NDArray[np.integer]) -> DoubleArray:
        """Return the odds of a class from the similarity of one of its examples.

        Args:
            similarity: Whitened cosine similarities, of any shape.
            examples: Number of examples of the class, >= 1, of a shape that broadcasts to it.
        """
        half = 1 - (1 - self.closeness) * np.asarray(examples, np.float64) ** -self.crowding
        odds = _odds(similarity, half, self.closeness_width)
        return np.where(np.asarray(similarity) >= ITSELF, SUREST_ODDS, odds)

    def mean_odds(
        self, deviations: npt.NDArray[np.floating], examples: npt.NDArray[np.integer], new_classes: int
    ) -> DoubleArray:
        """Return the odds of new classes from the similarity to the mean of their examples.

        Args:
            deviations: `(n, c)`, similarity to each class's mean in standard deviations.
            examples: `(c,)`, >= 1, number of examples of each class.
            new_classes: Number of classes, >= 1, that have enough examples and that the network does not know.
        """
        return _odds(deviations, self._half_mean(examples, new_classes), self.deviations_width)

    def mean_nearness(
        self, deviations: npt.NDArray[np.floating], examples: npt.NDArray[np.integer], new_classes: int
    ) -> DoubleArray:
        """Return the similarity to a single example that would count as much as the similarity to a mean.

        Unlike the odds it has no upper limit, so that it can rank classes whose odds have reached theirs.

        Args:
            deviations, examples, new_classes: As for `mean_odds`.
        """
        beyond = (deviations - self._half_mean(examples, new_classes)) / self.deviations_width
        more = _MEAN_AT_MOST * (1 - np.exp(-np.maximum(beyond - 1, 0)))
        return np.asarray(self.closeness + self.closeness_width * np.clip(beyond, -1, 1) + more, np.float64)

    def _half_mean(self, examples: npt.NDArray[np.integer], new_classes: int) -> DoubleArray:
        grown = self.deviations_by_example * np.log(examples) + self.deviations_by_class * math.log(new_classes)
        return np.asarray(self.deviations + grown, np.float64)


def _odds(values: npt.NDArray[np.floating], half: DoubleArray, width: float) -> DoubleArray:
    """Return odds that rise smoothly: 0 from `half - width` down, 1 at `half`, the largest from `half + width` up."""
    share = np.clip((values - half + width) / (2 * width), 0, 1)
    opened = np.minimum(share * share * (3 - 2 * share), SUREST)
    return np.asarray(opened / (1 - opened), np.float64)


def fit_gate(encoder: Encoder, whitening: Whitening, crops: ByteArray) -> Gate:
    """Fit the gate's closeness to the similarities between faces and near copies of them.

    Args:
        encoder: The bundle's network.
        whitening: Fitted to the bundle's gallery.
        crops: `(n, 48, 48)` uint8 gray validation faces. Some hundred are enough; with none the default stays.
    """
    if not len(crops):
        return Gate()
    faces = whitening(encoder.encode(crops).embeddings)
    copies = [whitening(encoder.encode(copy).embeddings) for copy in perturbations(crops).values()]
    similarity = np.stack([(faces * copy).sum(axis=1) for copy in copies])
    return Gate(closeness=float(np.clip(np.quantile(similarity, _MISSED), 0.5, 0.95)))


# Retrieve this many taught faces by cosine, then re-rank them by whitened cosine.
CANDIDATES = 32
# The mean of a class is that of its newest examples, up to this number.
MOST_EXAMPLES = 500
# Number of the bundle's faces that the usual similarity to a class is estimated on.
_OTHERS = 4000
# Beside a class with an open gate, each loss of this much whitened similarity divides the odds of another by e.
_RIVALRY = 0.005
# How open a gate must be to lower other odds, as an exponent: at 0.9 of the way the effect is about half.
_OPENNESS = 8
# Share of the bundle's faces from which on a class is common. Contempt is 0.6 % of FER+'s faces, and the network finds
# 4 % of it.
_COMMON = 0.01
# Odds that differ by less than this share are equal.
_TIE = 1e-3


class TaughtExamples(Protocol):
    """The taught faces, as `TaughtIndex` gives them.

    Attributes:
        classes: The names of the classes that have faces, sorted.
    """

    classes: tuple[str, ...]

    def search(self, queries: FloatArray, k: int) -> Neighbors:
        """Return the taught faces most similar to each query; see `TaughtIndex.search`."""
        ...

    def look_up(self, ids: IntArray) -> FoundFaces:
        """Return those of the faces with these distinct ids that exist."""
        ...

    def examples(self, name: str, limit: int) -> FloatArray:
        """Return the embeddings, `(n, d)` float32 unit rows, of up to `limit` newest faces of a class."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class TaughtScores:
    """The scores of the taught classes for n faces.

    Attributes:
        neighbors: The nearest taught faces, best first by cosine similarity; labels are columns of `classes`.
        classes: Names of the T taught classes.
        odds: `(n, T)` float64 >= 0, the odds of each class against the prediction without taught faces.
    """

    neighbors: Neighbors
    classes: tuple[str, ...]
    odds: DoubleArray


@dataclass(frozen=True, slots=True, eq=False)
class _Means:
    """The means of the taught classes for one revision of the gallery.

    Attributes:
        index: The gallery's index at that revision.
        examples: `(T,)` int64, number of examples of each class that are no near copies of another, up to a limit.
        new: `(c,)` int64, the columns of the classes that are scored by their mean.
        directions: `(c, d)` float32, whitened means, rows L2-normalized.
        middle, spread: `(c,)` float32, median and standard deviation of the similarity of the bundle's faces to it.
    """

    index: TaughtExamples
    examples: IntArray
    new: IntArray
    directions: FloatArray
    middle: FloatArray
    spread: FloatArray


class TaughtScorer:
    """Scores faces by the user's gallery.

    Args:
        embeddings: `(n, d)` float32, rows L2-normalized, the bundle's own faces.
        known: Names of the classes that the network predicts well enough. The mean of the examples counts for all
            others: for those that it does not know, and for those that are too rare for it (`common_classes`).
        gate: When taught faces change a prediction.

    Attributes:
        whitening: The whitening in which faces are compared.
    """

    def __init__(self, embeddings: FloatArray, known: tuple[str, ...], gate: Gate) -> None:
        self._known, self._gate = known, gate
        self.whitening = Whitening.fit(embeddings)
        step = max(1, len(embeddings) // _OTHERS)
        self._others = self.whitening(embeddings[::step])
        self._means: _Means | None = None

    def score(self, embeddings: FloatArray, index: TaughtExamples) -> TaughtScores:
        """Score the taught classes for n faces.

        Args:
            embeddings: `(n, d)` float32, rows L2-normalized; n = 0 is legal.
            index: The current index of the user's gallery, with at least one face.
        """
        if self._means is None or self._means.index is not index:
            self._means = self._class_means(index)
        means = self._means
        neighbors = index.search(embeddings, CANDIDATES)
        queries = self.whitening(embeddings)
        odds, nearness = self._near(queries, neighbors, index, means)
        if len(new := means.new):
            deviations = (queries @ means.directions.T - means.middle) / means.spread
            by_mean = self._gate.mean_odds(deviations, means.examples[new], len(new))
            as_near = self._gate.mean_nearness(deviations, means.examples[new], len(new))
            odds[:, new] = np.maximum(odds[:, new], by_mean)
            nearness[:, new] = np.maximum(nearness[:, new], as_near)
        return TaughtScores(neighbors, index.classes, nearest_wins(odds, nearness))

    def _near(
        self, queries: FloatArray, neighbors: Neighbors, index: TaughtExamples, means: _Means
    ) -> tuple[DoubleArray, DoubleArray]:
        """Return odds `(n, T)` by the nearest example of each class, and its similarity or -1 where the odds are 0."""
        odds = np.zeros((len(queries), len(index.classes)))
        nearness = np.full(odds.shape, -1.0)
        labels = neighbors.labels[TAUGHT]
        found = index.look_up(np.unique(neighbors.ids[labels >= 0]))
        at = np.searchsorted(found.ids, neighbors.ids)
        # Faces that were forgotten since the search are skipped.
        votes = (labels >= 0) & (np.append(found.ids, -1)[at] == neighbors.ids)
        rows, columns = np.nonzero(votes)
        if len(rows):
            taught = self.whitening(found.embeddings)[at[rows, columns]]
            classes = labels[rows, columns]
            similarity = np.einsum("vd,vd->v", queries[rows], taught)
            own = self._gate.near_odds(similarity, means.examples[classes])
            np.maximum.at(odds, (rows, classes), own)
            np.maximum.at(nearness, (rows, classes), np.where(own > 0, similarity, -1))
        return odds, nearness

    def _class_means(self, index: TaughtExamples) -> _Means:
        examples = [self.whitening(index.examples(name, MOST_EXAMPLES)) for name in index.classes]
        counts = np.array([max(_distinct(rows, self._gate.closeness), 1) for rows in examples], np.int64)
        enough = [
            column
            for column, name in enumerate(index.classes)
            if name not in self._known and len(examples[column]) >= self._gate.least_examples
        ]
        directions = np.array([examples[column].mean(axis=0) for column in enough], np.float32)
        directions = directions.reshape(-1, self._others.shape[1])
        directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
        usual = self._others @ directions.T
        # The median, because faces of the new class may be in the bundle under another name.
        middle = np.median(usual, axis=0) if len(usual) else np.zeros(len(enough))
        spread = usual.std(axis=0) if len(usual) else np.ones(len(enough))
        return _Means(
            index,
            counts,
            np.array(enough, np.int64),
            directions,
            np.asarray(middle, np.float32),
            np.asarray(np.maximum(spread, 1e-6), np.float32),
        )


def _distinct(rows: FloatArray, closeness: float) -> int:
    """Return how many examples are no near copies of an earlier one.

    Frames of one held expression resemble each other, and many of them do not lie near other faces by chance as often
    as the same number of different faces does.

    Args:
        rows: `(n, d)` float32, whitened examples of a class.
        closeness: The whitened similarity from which a face is a near copy.
    """
    similar = rows @ rows.T > closeness
    kept: list[int] = []
    for row in range(len(rows)):
        if not similar[row, kept].any():
            kept.append(row)
    return len(kept)


def common_classes(labels: IntArray, classes: tuple[str, ...]) -> tuple[str, ...]:
    """Return the classes that are common enough among the bundle's faces for a network to learn them.

    A network hardly ever predicts a class that it has seen in a few of a hundred faces. If a user teaches such a class,
    it is treated like a new one.

    Args:
        labels: `(n,)` int64 in [-1, C), the labels of the bundle's faces, -1 for none.
        classes: Names of the C classes.
    """
    counts = np.bincount(labels[labels >= 0], minlength=len(classes))
    return tuple(name for name, count in zip(classes, counts, strict=True) if count >= _COMMON * counts.sum())


def nearest_wins(odds: DoubleArray, nearness: DoubleArray) -> DoubleArray:
    """Lower the odds of classes next to a nearer class whose gate is open.

    Args:
        odds: `(n, T)` float64 >= 0, the odds of each class by itself.
        nearness: `(n, T)` float64, the similarity of the face to each class.

    Returns:
        `(n, T)` float64. The nearest class of a row keeps its odds.
    """
    odds = odds.copy()
    for row in np.flatnonzero((odds > 0).sum(axis=1) > 1):
        active = np.flatnonzero(odds[row] > 0)
        own, near = odds[row, active], nearness[row, active]
        opened = (own / (1 + own)) / (SUREST_ODDS / (1 + SUREST_ODDS))
        farther = np.maximum(near[:, None] - near, 0)  # [a, b]: how much farther b is than a
        lowered = opened[:, None] ** _OPENNESS * -np.expm1(-farther / _RIVALRY)
        odds[row, active] = own * (1 - np.minimum(lowered, 1).max(axis=0))
    return odds


def with_taught(prediction: Prediction, taught: TaughtScores, label_set: str, unknown_below: float) -> Prediction:
    """Add the scores of taught classes to a prediction.

    Args:
        prediction: The prediction without taught faces, n rows.
        taught: The scores of the taught classes for the same n faces.
        label_set: The view that was predicted; taught neighbors get their labels in it.
        unknown_below: Predictions with a lower confidence are called unknown.

    Returns:
        A prediction whose classes are those of the view, followed by the taught classes that the view lacks. Its
        neighbors come from both galleries, best first; taught ones have a label in `label_set` only.
    """
    classes = prediction.classes + tuple(name for name in taught.classes if name not in prediction.classes)
    columns = np.array([classes.index(name) for name in taught.classes], np.int64)
    total = taught.odds.sum(axis=1, keepdims=True)
    added = len(classes) - len(prediction.classes)
    parts = {
        name: np.pad(getattr(prediction, name), ((0, 0), (0, added))) for name in ("proba", "head_proba", "knn_proba")
    }
    proba = parts["proba"].astype(np.float64)
    proba[:, columns] += taught.odds
    tied = _level(proba, taught.odds, columns)
    parts["proba"] = np.where(total > 0, proba / (1 + total), parts["proba"]).astype(np.float32)
    return replace(
        prediction,
        **parts,
        classes=classes,
        neighbors=_both(prediction.neighbors, taught.neighbors, label_set, columns),
        unknown=tied | (parts["proba"].max(axis=1, initial=0.0) < unknown_below),
    )


def _level(proba: DoubleArray, odds: DoubleArray, columns: IntArray) -> BoolArray:
    """Make classes with equal odds equally probable, if these are the largest odds of a face.

    Otherwise small differences of the network, or the order of the names, would decide between them.

    Args:
        proba: `(n, C)`, changed in place.
        odds: `(n, T)`; odds equal to the largest of the row count.
        columns: `(T,)`, the classes' columns in `proba`.

    Returns:
        `(n,)` bool, True where several classes are equally probable and no class is more probable.
    """
    best = odds.max(axis=1, keepdims=True, initial=0.0)
    equal = (odds >= best * (1 - _TIE)) & (best >= 1)
    tied = equal.sum(axis=1) > 1
    for row in np.flatnonzero(tied):
        level = columns[equal[row]]
        proba[row, level] = proba[row, level].mean()
        tied[row] = proba[row, level[0]] >= proba[row].max()
    return tied


def _both(bundled: Neighbors, taught: Neighbors, label_set: str, columns: IntArray) -> Neighbors:
    """Merge the neighbors of two galleries, as many as the bundle's, best first; taught ones win ties."""
    own = taught.labels[TAUGHT]
    named = np.where(own >= 0, columns[own], -1)
    valid = np.concatenate([taught.valid, bundled.valid], axis=1)
    similarities = np.concatenate([taught.similarities, bundled.similarities], axis=1)
    none = np.full_like(own, -1)
    rows = np.arange(len(own))[:, None]
    best = np.lexsort((-similarities, ~valid), axis=-1)[:, : bundled.ids.shape[1]]
    labels = {name: (named if name == label_set else none, column) for name, column in bundled.labels.items()}
    return Neighbors(
        np.concatenate([taught.ids, bundled.ids], axis=1)[rows, best],
        {name: np.concatenate(both, axis=1)[rows, best] for name, both in labels.items()},
        similarities[rows, best],
        valid[rows, best],
        np.concatenate([taught.sources, bundled.sources], axis=1)[rows, best],
    )
