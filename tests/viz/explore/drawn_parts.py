"""Two parts of drawn faces, with and without copies, that the tests of `explore` look at."""

import numpy as np

from moodspace.embeddings.data.labelled import LabelledFaces, merge
from moodspace.viz.explore.data import DataParts
from tests.drawn_faces import drawn_faces

TRAIN, OTHER = drawn_faces(140, 1, votes=True), drawn_faces(70, 2, votes=True)


def noted(faces: LabelledFaces, **changes: object) -> LabelledFaces:
    names = ("crops", "labels", "classes", "votes", "twin", "sources", "skipped")
    return LabelledFaces(**({name: getattr(faces, name) for name in names} | changes))  # type: ignore[arg-type]


def two_parts(train=TRAIN, validation=OTHER, unreadable=()):
    part = np.repeat([0, 1], [len(train), len(validation)])
    return DataParts(merge([train, validation]), part, ("train", "validation"), tuple(unreadable))


def with_copies():
    """Faces 3 and 5 of train in validation too, the second under another label, marked as twins with one more."""
    crops, labels = OTHER.crops.copy(), OTHER.labels.copy()
    crops[:2], labels[0] = TRAIN.crops[[3, 5]], TRAIN.labels[3]
    labels[1] = (TRAIN.labels[5] + 1) % 7
    mine, theirs = np.isin(np.arange(140), [3, 5, 9]), np.arange(70) < 2
    return two_parts(noted(TRAIN, twin=mine), noted(OTHER, crops=crops, labels=labels, twin=theirs))
