"""Everything that is to be looked at as one data set: the splits of the paths that were named, and which is which."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from moodspace.embeddings.data.labelled import DataError, LabelledFaces, Progress, Skipped, merge
from moodspace.embeddings.data.readers import read_splits

Stages = Callable[[str], Progress | None]


class Unreadable(NamedTuple):
    """A picture that was left out: the part it is in, which one, and why."""

    part: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class DataParts:
    """Faces of one or several parts, each a split or a data set without splits.

    Attributes:
        faces: All of them, the first part's first, over the classes of all.
        part: `(n,)` int64, which part each face is of, into `names`.
        names: What the parts are called, each name once.
        unreadable: What was left out.

    Raises:
        ValueError: `part` does not say for each face which of the names it is of.
    """

    faces: LabelledFaces
    part: npt.NDArray[np.int64]
    names: tuple[str, ...]
    unreadable: tuple[Unreadable, ...] = ()

    def __post_init__(self) -> None:
        known = self.part.shape == (len(self.faces),) and ((self.part >= 0) & (self.part < len(self.names))).all()
        if not known:
            raise ValueError(
                f"part: expected for each of {len(self.faces)} faces one of {len(self.names)} parts, received shape "
                f"{self.part.shape} or other numbers; number the parts from 0"
            )

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """`(C, P)` int64, the faces of each class in each part."""
        table = np.zeros((len(self.faces.classes), len(self.names)), np.int64)
        np.add.at(table, (self.faces.labels, self.part), 1)
        return table


def read_parts(paths: Sequence[Path], progress: Stages = lambda stage: None) -> DataParts:
    """Reads data sets with all their splits, to be looked at together.

    Args:
        paths: One or more of what `embeddings.datasets` reads. A part is called as its split is, or as its path where
            that says more: the data set has no splits, or two have splits of one name.
        progress: Called with a stage's name, returns what is called as the stage goes on.

    Raises:
        DataError: there is no path, one is named twice, or one cannot be read.
    """
    if not paths or len({path.resolve() for path in paths}) < len(paths):
        named = ", ".join(str(path) for path in paths) or "none"
        raise DataError(f"data: expected one or more data sets, each once, received {named}; name each once")
    read = [(path, split, faces) for path in paths for split, faces in _splits(path, progress).items()]
    splits = [split for _, split, _ in read]
    names = [split if split and splits.count(split) == 1 else f"{path} {split}".strip() for path, split, _ in read]
    parts = [faces for _, _, faces in read]
    return DataParts(
        faces=merge(parts),
        part=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        names=tuple(names),
        unreadable=tuple(_left_out(name, one) for name, part in zip(names, parts, strict=True) for one in part.skipped),
    )


def _splits(path: Path, progress: Stages) -> dict[str, LabelledFaces]:
    return read_splits(path, progress=progress(f"read {path.name}"))


def _left_out(part: str, one: Skipped) -> Unreadable:
    return Unreadable(part, one.source, one.reason)
