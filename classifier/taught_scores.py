"""What the faces that a user taught say of a face, and how it changes the prediction.

Each taught class has odds against everything that was predicted without it. Away from taught faces they are exactly 0,
and the prediction stays as it is. Otherwise p becomes (1 - g) p + g v: v are the odds' shares and g / (1 - g) is their
sum, so that classes which the network has never seen get their share and the rest is scaled to keep the sum at 1.

The odds have an upper limit. Of several classes that reach it the one with the nearest face wins (`nearest_wins`), so
that a picture that was taught is recognized among similar ones. Where two are equally near the face is unknown.
"""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from moodspace.arrays import BoolArray, ByteArray, DoubleArray, FloatArray, IntArray
from moodspace.classifier.ensemble import Prediction
from moodspace.embeddings.encoder import Encoder
from moodspace.index.search import Neighbors
from moodspace.index.taught.faces import TAUGHT
from moodspace.index.taught.search import TaughtIndex

# Share of the mean variance that is added to each direction's, so that none is taken for certain. Between 0.001 and
# 0.01 near copies and other faces part equally well; 0.4 parts them five times worse (benchmarks.teach).
_RIDGE = 0.004


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """A linear map after which faces in general point everywhere alike.

    Attributes:
        mean: `(d,)` float32, the mean embedding.
        transform: `(d, d)` float32, applied from the right to what is left of an embedding without the mean.
    """

    mean: FloatArray
    transform: FloatArray

    @classmethod
    def fit(cls, embeddings: FloatArray) -> Self:
        """Fit mean and covariance.

        Args:
            embeddings: `(n, d)` float32 unit rows of many faces. Few faces know little of their covariance: the fewer
                there are, the nearer the result is to no whitening at all.
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
        """Whiten embeddings, `(..., d)` float32, and brings each to unit length."""
        rows = (embeddings - self.mean) @ self.transform
        length = np.linalg.norm(rows, axis=-1, keepdims=True)
        return np.asarray(rows / np.maximum(length, 1e-12), np.float32)


_SHIFTS = ((0, 1), (1, 0), (0, -1), (-1, 0), (0, 2), (2, 0), (0, -2), (-2, 0), (1, 1), (2, 2), (-2, -2))
_BRIGHTNESS = (20, -20)


def perturbations(crops: ByteArray) -> dict[str, ByteArray]:
    """Mirrors, shifts and brightens faces, a little each.

    Args:
        crops: `(n, 48, 48)` uint8 in [0, 255], gray.

    Returns:
        By name, arrays of that shape: the mirror image; shifts by one or two pixels, at whose edges the last row or
        column is repeated; 20 gray levels more and less.
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


# So surely a taught face can speak at most: what the network says is never silenced altogether.
_SUREST = 0.98
# A taught face this similar is the very picture, whatever rounding does: the gate is open, however crowded its class.
_ITSELF = 0.999
# What a mean says of its class weighs at most as much as a face that is this much nearer than an open gate needs.
_MEAN_AT_MOST = 0.03
# Share of near copies that may fall short of an even chance. Those that do still win where the network is unsure.
_MISSED = 0.045
SUREST_ODDS = _SUREST / (1 - _SUREST)


@dataclass(frozen=True, slots=True)
class Gate:
    """When taught faces speak, in whitened similarity; stored in a bundle's manifest.

    A face's nearest taught face of a class opens the gate by its similarity, and by nothing else where the class is one
    that the network knows. A class that it does not know is also recognized away from its examples, by their mean: its
    similarity is counted in standard deviations of what the bundle's own faces have. Both are smooth steps from 0,
    which is exact, to nearly 1.

    `closeness` is fitted to near copies of validation faces. The other values were chosen on the validation split with
    `benchmarks.teach`, such that up to 20 examples of a new class overrule fewer than 0.5 % of right answers.

    Attributes:
        closeness: Similarity to the only example of a class at which the gate is half open, in (0, 1).
        crowding: How it rises with the number of a class's examples: 1 - (1 - closeness) * n ** -crowding. Among many
            labelled faces one is near by chance.
        closeness_width: Half the width of the step.
        deviations: Standard deviations at which a new class's mean opens the gate half.
        deviations_by_example: What is added for each e-fold more examples, whose mean is more certain.
        deviations_by_class: What is added for each e-fold more new classes, so that all together do not claim more.
        deviations_width: Half the width of the step.
        least_examples: A new class with fewer is known by near copies alone.

    Raises:
        ValueError: A value outside its range.
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
        """Return the odds that a taught face gives its class.

        Args:
            similarity: Whitened cosines of any shape.
            examples: Of a shape that broadcasts to it, >= 1, how many examples the taught face's class has.
        """
        half = 1 - (1 - self.closeness) * np.asarray(examples, np.float64) ** -self.crowding
        odds = _odds(similarity, half, self.closeness_width)
        return np.where(np.asarray(similarity) >= _ITSELF, SUREST_ODDS, odds)

    def mean_odds(
        self, deviations: npt.NDArray[np.floating], examples: npt.NDArray[np.integer], new_classes: int
    ) -> DoubleArray:
        """Return the odds that the mean of a new class's examples gives the class.

        Args:
            deviations: `(n, c)`, similarity to each class's mean in standard deviations.
            examples: `(c,)`, >= 1, how many examples there are.
            new_classes: How many classes with enough examples the network does not know, >= 1.
        """
        return _odds(deviations, self._half_mean(examples, new_classes), self.deviations_width)

    def mean_nearness(
        self, deviations: npt.NDArray[np.floating], examples: npt.NDArray[np.integer], new_classes: int
    ) -> DoubleArray:
        """Return how similar the only example of a class would be that says as much as a mean; rises without end.

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
    """Return the odds of a smooth step that is even at `half`, and 0 from `width` below."""
    share = np.clip((values - half + width) / (2 * width), 0, 1)
    opened = np.minimum(share * share * (3 - 2 * share), _SUREST)
    return np.asarray(opened / (1 - opened), np.float64)


def fit_gate(encoder: Encoder, whitening: Whitening, crops: ByteArray) -> Gate:
    """Fit how close near copies of a face are.

    Args:
        encoder: The bundle's network.
        whitening: Fitted to the bundle's gallery.
        crops: `(n, 48, 48)` uint8, validation faces; some hundred are enough, none leave the usual value.
    """
    if not len(crops):
        return Gate()
    faces = whitening(encoder.encode(crops).embeddings)
    copies = [whitening(encoder.encode(copy).embeddings) for copy in perturbations(crops).values()]
    similarity = np.stack([(faces * copy).sum(axis=1) for copy in copies])
    return Gate(closeness=float(np.clip(np.quantile(similarity, _MISSED), 0.5, 0.95)))


# So many taught faces are looked at by whitened similarity; they are found by plain similarity.
CANDIDATES = 32
# So many of a class's newest examples make its mean.
_EXAMPLES = 500
# So many of the bundle's faces say how similar faces are to a class in general.
_OTHERS = 4000
# A face that is farther by this much whitened similarity than one that is certain has 1/e of its odds.
_RIVALRY = 0.005
# How strongly only those classes do this whose gate is nearly open: at 0.9 of the way by half.
_OPENNESS = 8
# Odds that differ by less than this share are equal.
_TIE = 1e-3


@dataclass(frozen=True, slots=True, eq=False)
class TaughtScores:
    """What taught faces say of n faces.

    Attributes:
        neighbors: The nearest taught faces, best first by plain similarity, labels in columns of `classes`.
        classes: Names of the T taught classes.
        odds: `(n, T)` float64 >= 0, each class's odds against what is predicted without taught faces.
    """

    neighbors: Neighbors
    classes: tuple[str, ...]
    odds: DoubleArray


@dataclass(frozen=True, slots=True, eq=False)
class _Means:
    """The taught classes at one state of the gallery.

    Attributes:
        index: That state.
        examples: `(T,)` int64, how many examples each class has, up to a limit.
        new: `(c,)` int64, the columns of the classes known by their mean.
        directions: `(c, d)` unit rows, whitened.
        middle, spread: `(c,)`, mean and standard deviation of the similarity that the bundle's faces have to it.
    """

    index: TaughtIndex
    examples: IntArray
    new: IntArray
    directions: FloatArray
    middle: FloatArray
    spread: FloatArray


class TaughtScorer:
    """Score what the user's gallery says of faces.

    Args:
        embeddings: `(n, d)` float32 unit rows, the bundle's own faces.
        known: Names of the classes that the network knows.
        gate: When taught faces speak.
    """

    def __init__(self, embeddings: FloatArray, known: tuple[str, ...], gate: Gate) -> None:
        self._known, self._gate = known, gate
        self._whitening = Whitening.fit(embeddings)
        step = max(1, len(embeddings) // _OTHERS)
        self._others = self._whitening(embeddings[::step])
        self._means: _Means | None = None

    def score(self, embeddings: FloatArray, index: TaughtIndex) -> TaughtScores:
        """Ask the taught faces.

        Args:
            embeddings: `(n, d)` float32 unit rows; n = 0 is legal.
            index: The user's gallery as it is now, of at least one face.
        """
        if self._means is None or self._means.index is not index:
            self._means = self._learn(index)
        means = self._means
        neighbors = index.search(embeddings, CANDIDATES)
        queries = self._whitening(embeddings)
        odds, nearness = self._near(queries, neighbors, index, means)
        if len(new := means.new):
            deviations = (queries @ means.directions.T - means.middle) / means.spread
            by_mean = self._gate.mean_odds(deviations, means.examples[new], len(new))
            as_near = self._gate.mean_nearness(deviations, means.examples[new], len(new))
            odds[:, new] = np.maximum(odds[:, new], by_mean)
            nearness[:, new] = np.maximum(nearness[:, new], as_near)
        return TaughtScores(neighbors, index.classes, nearest_wins(odds, nearness))

    def _near(
        self, queries: FloatArray, neighbors: Neighbors, index: TaughtIndex, means: _Means
    ) -> tuple[DoubleArray, DoubleArray]:
        """Return the odds `(n, T)` that the nearest taught face of each class gives it, and its similarity.

        The similarity is -1 where the odds are 0.
        """
        odds = np.zeros((len(queries), len(index.classes)))
        nearness = np.full(odds.shape, -1.0)
        labels = neighbors.labels[TAUGHT]
        found = index.look_up(np.unique(neighbors.ids[labels >= 0]))
        at = np.searchsorted(found.ids, neighbors.ids)
        # One that was forgotten since the search is passed over.
        votes = (labels >= 0) & (np.append(found.ids, -1)[at] == neighbors.ids)
        rows, columns = np.nonzero(votes)
        if len(rows):
            taught = self._whitening(found.embeddings)[at[rows, columns]]
            classes = labels[rows, columns]
            similarity = np.einsum("vd,vd->v", queries[rows], taught)
            spoken = self._gate.near_odds(similarity, means.examples[classes])
            np.maximum.at(odds, (rows, classes), spoken)
            np.maximum.at(nearness, (rows, classes), np.where(spoken > 0, similarity, -1))
        return odds, nearness

    def _learn(self, index: TaughtIndex) -> _Means:
        examples = [self._whitening(index.examples(name, _EXAMPLES)) for name in index.classes]
        counts = np.array([max(len(rows), 1) for rows in examples], np.int64)
        enough = [
            column
            for column, name in enumerate(index.classes)
            if name not in self._known and len(examples[column]) >= self._gate.least_examples
        ]
        directions = np.array([examples[column].mean(axis=0) for column in enough], np.float32)
        directions = directions.reshape(-1, self._others.shape[1])
        directions /= np.maximum(np.linalg.norm(directions, axis=1, keepdims=True), 1e-12)
        usual = self._others @ directions.T
        # A median, and of a sample: faces of the new class may be among the bundle's under another name.
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


def nearest_wins(odds: DoubleArray, nearness: DoubleArray) -> DoubleArray:
    """Lower the odds of classes beside a nearer one that is as good as certain.

    Args:
        odds: `(n, T)` >= 0, each class's odds by itself.
        nearness: `(n, T)`, how near the face is to each class.

    Returns:
        `(n, T)`; the largest nearness of a row keeps its odds.
    """
    odds = odds.copy()
    for row in np.flatnonzero((odds > 0).sum(axis=1) > 1):
        speaking = np.flatnonzero(odds[row] > 0)
        own, near = odds[row, speaking], nearness[row, speaking]
        opened = (own / (1 + own)) / (SUREST_ODDS / (1 + SUREST_ODDS))
        farther = np.maximum(near[:, None] - near, 0)  # [a, b]: how much farther b is than a
        lowered = opened[:, None] ** _OPENNESS * -np.expm1(-farther / _RIVALRY)
        odds[row, speaking] = own * (1 - np.minimum(lowered, 1).max(axis=0))
    return odds


def with_taught(prediction: Prediction, testimony: TaughtScores, label_set: str, unknown_below: float) -> Prediction:
    """Let taught faces change a prediction.

    Args:
        prediction: What is predicted without them, n rows.
        testimony: What they say of the same n faces.
        label_set: The view that was predicted, in whose columns the neighbors' labels are named.
        unknown_below: A prediction with less confidence than this is called unknown.

    Returns:
        A prediction whose classes are the view's and then those taught classes that the view has not. Its neighbors
        are those of both galleries, best first; taught ones have a label in `label_set` alone.
    """
    classes = prediction.classes + tuple(name for name in testimony.classes if name not in prediction.classes)
    columns = np.array([classes.index(name) for name in testimony.classes], np.int64)
    total = testimony.odds.sum(axis=1, keepdims=True)
    added = len(classes) - len(prediction.classes)
    parts = {
        name: np.pad(getattr(prediction, name), ((0, 0), (0, added))) for name in ("proba", "head_proba", "knn_proba")
    }
    proba = parts["proba"].astype(np.float64)
    proba[:, columns] += testimony.odds
    tied = _level(proba, testimony.odds, columns)
    parts["proba"] = np.where(total > 0, proba / (1 + total), parts["proba"]).astype(np.float32)
    return replace(
        prediction,
        **parts,
        classes=classes,
        neighbors=_both(prediction.neighbors, testimony.neighbors, label_set, columns),
        unknown=tied | (parts["proba"].max(axis=1, initial=0.0) < unknown_below),
    )


def _level(proba: DoubleArray, odds: DoubleArray, columns: IntArray) -> BoolArray:
    """Make classes that taught faces speak for equally equally probable, where these odds are the largest.

    Otherwise what little the network says, or the order of the names, would decide between them.

    Args:
        proba: `(n, C)`, changed in place.
        odds: `(n, T)`, the largest of each row decides what is equal to it.
        columns: `(T,)`, the classes' columns in `proba`.

    Returns:
        `(n,)`, in which rows several classes are equally probable and none is more so.
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
    """Merge the neighbors of two galleries, best first, among equals the taught ones, as many as the bundle's."""
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
