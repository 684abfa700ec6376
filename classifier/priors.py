"""Adjust predictions to how common each class is where they are made.

A network learns how common each class was among its training faces. Where the classes have other frequencies, the most
likely class is found by multiplying each probability by the ratio of the frequencies and normalizing (Saerens et al.,
"Adjusting the outputs of a classifier to new a priori probabilities", Neural Computation 2002).
"""

import json
import math
from pathlib import Path

import numpy as np
import numpy.typing as npt

from moodspace.arrays import DoubleArray, IntArray
from moodspace.errors import MoodspaceError

BALANCED, DATA = "balanced", "data"


def read_prior(text: str, classes: tuple[str, ...]) -> DoubleArray | None:
    """Return the frequencies that `--prior` names.

    Args:
        text: "data" for those of the training faces, "balanced" for equal ones, or a JSON file with a number for each
            class, such as `{"happy": 6, "sad": 1}`. The numbers need not sum to 1.
        classes: The classes of the view, in column order. Each needs a number in the file.

    Returns:
        `(C,)` float64 > 0, sums to 1; None for "data".

    Raises:
        MoodspaceError: The file cannot be read or does not have exactly one number > 0 for each class.
    """
    if text == DATA:
        return None
    if text == BALANCED:
        return np.full(len(classes), 1 / len(classes))
    try:
        values = json.loads(Path(text).read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or str(error)
        raise MoodspaceError(f"prior: expected balanced, data or a JSON file, got {text!r}: {reason}") from error
    except ValueError as error:
        raise MoodspaceError(f"{text}: expected JSON, got: {error}") from error
    return check_prior(values, classes, text)


def check_prior(values: object, classes: tuple[str, ...], source: str = "prior") -> DoubleArray:
    """Return frequencies by class name as an array.

    Args:
        values: A dict with a number > 0 for each class.
        classes: The classes of the view, in column order.
        source: Where the values are from, for messages.

    Returns:
        `(C,)` float64 > 0, sums to 1.

    Raises:
        MoodspaceError: The dict does not have exactly one number > 0 for each class.
    """
    if not isinstance(values, dict) or set(values) != set(classes):
        got = ", ".join(sorted(map(str, values))) if isinstance(values, dict) else type(values).__name__
        raise MoodspaceError(f"{source}: expected a number for each of {', '.join(classes)}, got {got}")
    for name, value in values.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        if not number or not (math.isfinite(value) and value > 0):
            raise MoodspaceError(f"{source}, {name}: expected a finite number > 0, got {value!r}")
    numbers = np.array([values[name] for name in classes], np.float64)
    return numbers / numbers.sum()


def class_frequencies(labels: IntArray, n_classes: int) -> DoubleArray:
    """Return how common each class is among labelled faces, `(C,)` float64 > 0; one face is added to each class.

    Args:
        labels: `(n,)` int64 in [-1, C), -1 for none.
        n_classes: Number of classes.
    """
    counts = np.bincount(labels[labels >= 0], minlength=n_classes) + 1.0
    return counts / counts.sum()


def adjust(proba: npt.NDArray[np.floating], old: DoubleArray, new: DoubleArray) -> DoubleArray:
    """Return probabilities for other class frequencies than those they were fitted to.

    Args:
        proba: `(n, C)`, rows sum to 1.
        old: `(C,)` > 0, the frequencies they were fitted to.
        new: `(C,)` > 0, the frequencies where the predictions are made.

    Returns:
        `(n, C)` float64, rows sum to 1.
    """
    ratios = proba.astype(np.float64) * (new / old)
    return ratios / ratios.sum(axis=1, keepdims=True)
