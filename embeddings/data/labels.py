"""Label sets: class names, their column order, and the targets that a network is trained on.

A label set is a tuple of class names in column order. `FER2013_CLASSES` and `FERPLUS_CLASSES` are known; a user's own
classes work in the same way.

Data sets spell the same expression differently. `canonical` normalizes a name (Unicode NFC, lower case, single spaces)
and looks it up in `ALIASES`:

| name here  | also read as                          |
|------------|---------------------------------------|
| `angry`    | anger                                 |
| `contempt` | contemptuous                          |
| `disgust`  | disgusted                             |
| `fear`     | afraid, fearful, scared               |
| `happy`    | happiness, joy                        |
| `sad`      | sadness                               |
| `surprise` | surprised                             |

`neutral` has no alias. `calm` is a class of its own, because data sets that have it (RAVDESS) distinguish it from
neutral. Every name that is not in the table stays as it is.
"""

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from moodspace.arrays import FloatArray, IntArray
from moodspace.errors import MoodspaceError

# Invisible letters and marks that Unicode does not class as control, format or separator.
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")
# Control, format (zero width, text direction), surrogate, private use, unassigned, line and paragraph separators.
_REFUSED = frozenset({"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"})
# Variation selectors: invisible, they choose a glyph of the character before them.
_VARIANTS = dict.fromkeys([*range(0x180B, 0x1810), *range(0xFE00, 0xFE10), *range(0xE0100, 0xE01F0)])
_LONGEST = 100


class ClassNameError(MoodspaceError):
    """A name cannot be the name of a class."""


def normalize_name(name: str) -> str:
    """Return a name in Unicode NFC and lower case, with single spaces inside and none around it."""
    return unicodedata.normalize("NFC", _spelled(name).lower())


def check_name(name: str) -> str:
    """Return a name unchanged, if a class may have it.

    Raises:
        ClassNameError: It is empty or too long, or has line breaks, control characters or invisible characters.
    """
    plain = normalize_name(name)
    if not plain:
        raise ClassNameError("expected the name of a class, got an empty one; type a word")
    if len(plain) > _LONGEST:
        raise ClassNameError(f"expected a name of at most {_LONGEST} characters, got {len(plain)}; shorten it")
    if wrong := next((one for one in name if _is_refused(one)), None):
        got = f"U+{ord(wrong):04X} ({unicodedata.name(wrong, 'control character').lower()}) in {name!a}"
        wanted = "expected a class name on one line, of visible characters"
        raise ClassNameError(f"{wanted}, got {got}; type it again")
    return name


@lru_cache(maxsize=4096)
def displayable(name: str) -> str:
    """Return an existing name as it is compared and shown: in NFC, with invalid characters replaced by U+FFFD."""
    return "".join("\ufffd" if _is_refused(one) else one for one in _spelled(name))


def _spelled(name: str) -> str:
    return " ".join(unicodedata.normalize("NFC", name.translate(_VARIANTS)).split())


def _is_refused(character: str) -> bool:
    return character in _BLANK or unicodedata.category(character) in _REFUSED


# Names of the label sets that data sets of FER2013 offer: its labels, and the votes of FER+.
FER2013_SET, VOTES_SET = "fer2013", "ferplus"

FER2013_CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
FERPLUS_CLASSES = ("neutral", "happy", "surprise", "sad", "angry", "disgust", "fear", "contempt")
VOTE_COLUMNS = (*FERPLUS_CLASSES, "unknown", "not-a-face")

ALIASES = {
    "anger": "angry",
    "contemptuous": "contempt",
    "disgusted": "disgust",
    "afraid": "fear",
    "fearful": "fear",
    "scared": "fear",
    "happiness": "happy",
    "joy": "happy",
    "sadness": "sad",
    "surprised": "surprise",
}

_SUM_TOLERANCE = 1e-4


def canonical(name: str) -> str:
    """Return the canonical name of an expression: tidied as by `normalize_name` and with aliases resolved."""
    plain = normalize_name(name)
    return ALIASES.get(plain, plain)


def class_name(name: str) -> str:
    """Return the canonical name of a class that a person, a folder or a file names.

    Raises:
        ClassNameError: It is empty or too long, or has line breaks or invisible characters.
    """
    return canonical(check_name(name))


@dataclass(frozen=True, slots=True, eq=False)
class Targets:
    """The training targets of n faces in one label set.

    Attributes:
        classes: The C class names, in column order.
        proba: `(n, C)` float32 in [0, 1], columns in the order of `classes`. Each row sums to 1, or is all zero if
            the face has no label in this set.

    Raises:
        ValueError: A class is named twice, or `proba` has another shape, type or range than documented.
    """

    classes: tuple[str, ...]
    proba: FloatArray

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) != len(self.classes):
            raise ValueError(f"classes: expected at least one name and none twice, got {self.classes}")
        if self.proba.dtype != np.float32 or self.proba.ndim != 2 or self.proba.shape[1] != len(self.classes):
            found = f"{self.proba.dtype} of {self.proba.shape}"
            raise ValueError(f"proba: expected float32 of shape (n, {len(self.classes)}), got {found}")
        sums = self.proba.sum(axis=1)
        fair = (np.abs(sums - 1) <= _SUM_TOLERANCE) | ~self.proba.any(axis=1)
        # `not all(>=)` instead of `any(<)`, so that NaN is rejected as well.
        if not (np.all(self.proba >= 0) and np.all(fair)):
            raise ValueError("proba: expected numbers >= 0 whose rows sum to 1 or are all zero, got other rows")

    def __len__(self) -> int:
        return len(self.proba)

    @property
    def labels(self) -> IntArray:
        """`(n,)` int64, the column with the largest share of each row; -1 if there is no label or a tie."""
        largest = self.proba.max(axis=1, keepdims=True)
        # An all-zero row ties in every column, but not in a set of one class.
        decided = ((self.proba == largest).sum(axis=1) == 1) & (largest[:, 0] > 0)
        return np.where(decided, self.proba.argmax(axis=1), -1).astype(np.int64)


def targets_from_labels(labels: npt.NDArray[np.integer[Any]], classes: Sequence[str]) -> Targets:
    """Make one-hot targets from one label per face.

    Args:
        labels: `(n,)` integers, each a column of `classes`, or -1 for none.
        classes: The class names, in column order.

    Raises:
        ValueError: A label is not a column of `classes`.
    """
    count = len(classes)
    if labels.ndim != 1 or (labels.size and not (labels.min() >= -1 and labels.max() < count)):
        raise ValueError(f"labels: expected shape (n,) and values from -1 to {count - 1}, got {labels.shape}, {labels}")
    proba = np.zeros((len(labels), count), np.float32)
    rows = np.flatnonzero(labels >= 0)
    proba[rows, labels[rows]] = 1
    return Targets(tuple(classes), proba)


def targets_from_votes(votes: npt.NDArray[np.integer[Any]]) -> Targets:
    """Make targets over `FERPLUS_CLASSES` from the votes of several people.

    A row is the distribution of the votes over the eight expressions. It is all zero if there are no votes, or if
    `unknown` or `not-a-face` has the largest count, alone or tied with an expression. A single vote for an expression
    is dropped as an outlier, as the authors of FER+ do, unless no expression has two. `Targets.labels` is therefore an
    expression exactly if its count is strictly the largest of all ten columns.

    Args:
        votes: `(n, 10)` integer counts >= 0, columns in the order of `VOTE_COLUMNS`.

    Raises:
        ValueError: The shape differs, or a count is negative.

    Source: Barsoum et al., "Training Deep Networks for Facial Expression Recognition with Crowd-Sourced Label
        Distribution", ICMI 2016, and its published code for the outliers.
    """
    if votes.ndim != 2 or votes.shape[1] != len(VOTE_COLUMNS) or (votes < 0).any():
        raise ValueError(f"votes: expected counts >= 0 of shape (n, {len(VOTE_COLUMNS)}), got shape {votes.shape}")
    expressions, others = np.split(votes.astype(np.float64), [len(FERPLUS_CLASSES)], axis=1)
    most = expressions.max(axis=1, keepdims=True)
    shares = np.where((expressions == 1) & (most > 1), 0, expressions)
    shares[most[:, 0] <= others.max(axis=1)] = 0
    totals = shares.sum(axis=1, keepdims=True)
    proba = np.divide(shares, totals, out=np.zeros_like(shares), where=totals > 0)
    return Targets(FERPLUS_CLASSES, proba.astype(np.float32))


class SharedColumns(NamedTuple):
    """The classes that two label sets have in common.

    Attributes:
        names: The m canonical names, in the order of the first set.
        from_columns: `(m,)` int64, the column of each name in the first set.
        to_columns: `(m,)` int64, its column in the second set.
    """

    names: tuple[str, ...]
    from_columns: IntArray
    to_columns: IntArray


def shared_columns(from_classes: Sequence[str], to_classes: Sequence[str]) -> SharedColumns:
    """Match the classes of two label sets by canonical name, to score predictions in one against labels in the other.

    Example:
        >>> shared_columns(("neutral", "happiness", "contempt"), ("happy", "neutral")).names
        ('neutral', 'happy')

    Raises:
        ValueError: Two names of one set have the same canonical name.
    """
    from_at, to_at = _columns("from_classes", from_classes), _columns("to_classes", to_classes)
    names = tuple(name for name in from_at if name in to_at)
    return SharedColumns(
        names,
        np.array([from_at[name] for name in names], np.int64),
        np.array([to_at[name] for name in names], np.int64),
    )


def _columns(argument: str, classes: Sequence[str]) -> dict[str, int]:
    columns = {canonical(name): column for column, name in enumerate(classes)}
    if len(columns) != len(classes):
        raise ValueError(f"{argument}: expected one name for each expression, got {tuple(classes)}")
    return columns
