"""What the faces that a user taught say of a face, and how it changes the prediction.

Each taught class has odds against everything that was predicted without it. Away from taught faces they are exactly 0,
and the prediction stays as it is. Otherwise p becomes (1 - g) p + g v: v are the odds' shares and g / (1 - g) is their
sum, so that classes which the network has never seen get their share and the rest is scaled to keep the sum at 1.

The odds have an upper limit. Of several classes that reach it the one with the nearest face wins (`nearest_wins`), so
that a picture that was taught is recognized among similar ones. Where two are equally near the face is unknown.
"""

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from classifier.ensemble import Prediction
from classifier.gate import SUREST_ODDS, Gate
from classifier.whitening import Whitening
from index.gallery import FloatArray, IntArray
from index.search import Neighbors
from index.taught_faces import TAUGHT
from index.taught_index import TaughtIndex

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
class Testimony:
    """What taught faces say of n faces.

    Attributes:
        neighbors: the nearest taught faces, best first by plain similarity, labels in columns of `classes`.
        classes: names of the T taught classes.
        odds: `(n, T)` float64 >= 0, each class's odds against what is predicted without taught faces.
    """

    neighbors: Neighbors
    classes: tuple[str, ...]
    odds: npt.NDArray[np.float64]


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


class TaughtWitness:
    """Hears what the user's gallery says of faces.

    Args:
        embeddings: `(n, d)` float32 unit rows, the bundle's own faces.
        known: names of the classes that the network knows.
        gate: when taught faces speak.
    """

    def __init__(self, embeddings: FloatArray, known: tuple[str, ...], gate: Gate) -> None:
        self._known, self._gate = known, gate
        self._whitening = Whitening.fit(embeddings)
        step = max(1, len(embeddings) // _OTHERS)
        self._others = self._whitening(embeddings[::step])
        self._means: _Means | None = None

    def hear(self, embeddings: FloatArray, index: TaughtIndex) -> Testimony:
        """Asks the taught faces.

        Args:
            embeddings: `(n, d)` float32 unit rows; n = 0 is legal.
            index: the user's gallery as it is now, of at least one face.
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
        return Testimony(neighbors, index.classes, nearest_wins(odds, nearness))

    def _near(
        self, queries: FloatArray, neighbors: Neighbors, index: TaughtIndex, means: _Means
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        """Returns the odds `(n, T)` that the nearest taught face of each class gives it, and its similarity.

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


def nearest_wins(odds: npt.NDArray[np.float64], nearness: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Lowers the odds of classes beside a nearer one that is as good as certain.

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


def with_taught(prediction: Prediction, testimony: Testimony, label_set: str, unknown_below: float) -> Prediction:
    """Lets taught faces change a prediction.

    Args:
        prediction: what is predicted without them, n rows.
        testimony: what they say of the same n faces.
        label_set: the view that was predicted, in whose columns the neighbours' labels are named.
        unknown_below: a prediction with less confidence than this is called unknown.

    Returns:
        A prediction whose classes are the view's and then those taught classes that the view has not. Its neighbours
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


def _level(proba: npt.NDArray[np.float64], odds: npt.NDArray[np.float64], columns: IntArray) -> npt.NDArray[np.bool_]:
    """Makes classes that taught faces speak for equally equally probable, where these odds are the largest.

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
    """Merges the neighbours of two galleries, best first, among equals the taught ones, as many as the bundle's."""
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
