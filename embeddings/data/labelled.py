"""Labelled faces, the form in which every data set is read."""

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Self, TypeVar

import numpy as np
import numpy.typing as npt

from moodspace.arrays import BoolArray, ByteArray, IntArray
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.labels import (
    FER2013_CLASSES,
    FER2013_SET,
    VOTE_COLUMNS,
    VOTES_SET,
    Targets,
    canonical,
    targets_from_labels,
    targets_from_votes,
)
from moodspace.errors import MoodspaceError

T = TypeVar("T")
Progress = Callable[[int, int], None]
Rows = npt.NDArray[np.integer[Any]] | BoolArray | slice

_PROGRESS_STEP = 250


class DataError(MoodspaceError):
    """A data set cannot be read, or lacks what was asked for."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """A picture or row that was left out.

    Attributes:
        source: The picture or row, as in `LabelledFaces.sources`.
        reason: The reason, for the user.
    """

    source: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class LabelledFaces:
    """The n faces of a data set with their labels; n = 0 is legal.

    Attributes:
        crops: `(n, 48, 48)` uint8 in [0, 255], gray.
        labels: `(n,)` int64, each a column of `classes`.
        classes: The class names, canonical (`labels.canonical`) and sorted: `FER2013_CLASSES` for FER2013.
        votes: `(n, 10)` int16 counts >= 0, in the order of `labels.VOTE_COLUMNS`; None if the data set has none.
        twin: `(n,)` bool, True if another split has a pixel-identical copy.
        sources: The source of each face: a path relative to the data set, or the table and row.
        skipped: The pictures and rows that were left out.
        name: The name of the labels as a label set (`label_sets`); "" to derive it from the classes.

    Raises:
        ValueError: A field has another shape, type or range than documented.
    """

    crops: ByteArray
    labels: IntArray
    classes: tuple[str, ...]
    votes: npt.NDArray[np.int16] | None
    twin: BoolArray
    sources: tuple[str, ...]
    skipped: tuple[Skipped, ...] = ()
    name: str = ""

    def __post_init__(self) -> None:
        n = len(self.crops)
        _check("crops", self.crops, np.uint8, (n, SIZE, SIZE))
        _check("labels", self.labels, np.int64, (n,))
        _check("twin", self.twin, np.bool_, (n,))
        if n and not (self.labels.min() >= 0 and self.labels.max() < len(self.classes)):
            found = f"{self.labels.min()} to {self.labels.max()}"
            raise ValueError(f"labels: expected columns of {self.classes}, got {found}")
        if self.votes is not None:
            _check("votes", self.votes, np.int16, (n, len(VOTE_COLUMNS)))
            if (self.votes < 0).any():
                raise ValueError(f"votes: expected counts >= 0, got {self.votes.min()}")
        if len(self.sources) != n:
            raise ValueError(f"sources: expected {n} names, got {len(self.sources)}")

    def __len__(self) -> int:
        return len(self.crops)

    def take(self, rows: Rows) -> Self:
        """Return the faces at `rows`: indices, a mask of shape `(n,)`, or a slice. `skipped` stays as it is."""
        return type(self)(
            crops=self.crops[rows],
            labels=self.labels[rows],
            classes=self.classes,
            votes=None if self.votes is None else self.votes[rows],
            twin=self.twin[rows],
            sources=tuple(self.sources[row] for row in np.arange(len(self))[rows]),
            skipped=self.skipped,
            name=self.name,
        )


def _check(name: str, array: npt.NDArray[Any], dtype: type[np.generic], shape: tuple[int, ...]) -> None:
    if array.dtype != dtype or array.shape != shape:
        raise ValueError(f"{name}: expected {np.dtype(dtype)} of shape {shape}, got {array.dtype} of {array.shape}")


def label_sets(faces: LabelledFaces) -> dict[str, Targets]:
    """Return the targets of each label set of the faces.

    The labels are a set named `faces.name`; without a name it is "fer2013" for the seven classes of FER2013 and
    "labels" for others. Votes are a second set, "ferplus".
    """
    name = faces.name or (FER2013_SET if faces.classes == FER2013_CLASSES else "labels")
    sets = {name: targets_from_labels(faces.labels, faces.classes)}
    if faces.votes is not None:
        sets[VOTES_SET] = targets_from_votes(faces.votes)
    return sets


def merge(parts: Sequence[LabelledFaces]) -> LabelledFaces:
    """Join several data sets; the classes are those of all of them.

    Args:
        parts: At least one data set. Votes are kept only if every part has them.
    """
    classes = tuple(sorted({name for part in parts for name in part.classes}))
    votes = [part.votes for part in parts if part.votes is not None]
    return LabelledFaces(
        crops=np.concatenate([part.crops for part in parts]),
        labels=np.concatenate([np.array([classes.index(c) for c in p.classes], np.int64)[p.labels] for p in parts]),
        classes=classes,
        votes=np.concatenate(votes) if len(votes) == len(parts) else None,
        twin=np.concatenate([part.twin for part in parts]),
        sources=tuple(source for part in parts for source in part.sources),
        skipped=tuple(skipped for part in parts for skipped in part.skipped),
    )


def content_hash(faces: LabelledFaces) -> str:
    """Return the SHA-256, in hexadecimal, of the training data: crops, classes, labels and votes, in their order.

    It does not depend on file names, layout or machine: a folder and a table with the same pixels have the same hash.
    """
    digest = hashlib.sha256("\n".join(faces.classes).encode())
    digest.update(faces.crops.tobytes())
    digest.update(faces.labels.astype("<i8").tobytes())
    if faces.votes is not None:
        digest.update(faces.votes.astype("<i2").tobytes())
    return digest.hexdigest()


class Face(NamedTuple):
    """One face of a data set, before `gather` puts all of them together.

    Attributes:
        source: Its source, as in `LabelledFaces.sources`.
        label: Its class, as the data set spells it.
        crop: `(48, 48)` uint8, gray.
        votes: `(10,)` int16 counts in the order of `labels.VOTE_COLUMNS`; None if the data set has none.
        twin: Whether another split has a pixel-identical copy.
    """

    source: str
    label: str
    crop: ByteArray
    votes: npt.NDArray[np.int16] | None = None
    twin: bool = False


def gather(rows: Iterable[Face | Skipped], names: Iterable[str], where: str) -> LabelledFaces:
    """Join the faces of a data set.

    Args:
        rows: Its faces and the skipped pictures or rows.
        names: The classes that the data set declares, even if no face has them.
        where: The data set, for the error message.

    Raises:
        DataError: There are no faces.
    """
    faces, skipped = [], []
    for row in rows:
        if isinstance(row, Face):
            faces.append(row._replace(label=canonical(row.label)))
        else:
            skipped.append(row)
    if not faces:
        first = f"; the first of {len(skipped)} skipped, {skipped[0].source}: {skipped[0].reason}" if skipped else ""
        raise DataError(f"{where}: expected at least one readable labelled picture, got none{first}")
    classes = tuple(sorted({canonical(name) for name in names} | {face.label for face in faces}))
    votes = [face.votes for face in faces if face.votes is not None]
    return LabelledFaces(
        crops=np.stack([face.crop for face in faces]),
        labels=np.array([classes.index(face.label) for face in faces], np.int64),
        classes=classes,
        votes=np.stack(votes) if len(votes) == len(faces) else None,
        twin=np.array([face.twin for face in faces], np.bool_),
        sources=tuple(face.source for face in faces),
        skipped=tuple(skipped),
    )


def reporting(rows: Iterable[T], total: int, progress: Progress | None) -> Iterator[T]:
    """Yield `rows`, and call `progress(done, total)` every 250 rows and at the end."""
    for done, row in enumerate(rows):
        if progress and done % _PROGRESS_STEP == 0:
            progress(done, total)
        yield row
    if progress:
        progress(total, total)
