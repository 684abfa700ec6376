"""What a data set says its faces show, in the classes of a prediction."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from embeddings.labelled import LabelledFaces, label_sets
from embeddings.labels import shared_columns

IntArray = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """What the data set says, in terms of the prediction's classes.

    Attributes:
        labels: `(n,)` int64, a column of the prediction; -1 where a face has no label that the prediction knows.
        columns: `(m,)` int64, the prediction's columns that the data set knows too, ascending.
    """

    labels: IntArray
    columns: IntArray


def match_truth(faces: LabelledFaces, label_set: str, classes: tuple[str, ...]) -> Truth:
    """Finds out what the data set says about each face, in a prediction's classes.

    A label set that the data offer by name is read as it is; otherwise their own classes are matched by canonical name.

    Args:
        faces: the labelled faces.
        label_set: name of the prediction's label set.
        classes: the prediction's classes, in column order.

    Raises:
        ValueError: two classes of one side mean the same expression.
    """
    own = label_sets(faces).get(label_set)
    labels, own_classes = (faces.labels, faces.classes) if own is None else (own.labels, own.classes)
    shared = shared_columns(classes, own_classes)
    # One more place than there are classes: a face without a label, -1, reads the last.
    column_of = np.full(len(own_classes) + 1, -1, np.int64)
    column_of[shared.to_columns] = shared.from_columns
    return Truth(column_of[labels], shared.from_columns)


def compared_labels(faces: LabelledFaces, label_set: str) -> str:
    """Return the name of the data's label set that a prediction is compared with: its own, or else their first."""
    sets = list(label_sets(faces))
    return label_set if label_set in sets else sets[0]
