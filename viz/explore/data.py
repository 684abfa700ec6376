"""Read several data sets and splits as one: all faces, and the part that each belongs to."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from moodspace.embeddings.data.labelled import DataError, LabelledFaces, Progress, merge
from moodspace.embeddings.data.readers import read_splits

Stages = Callable[[str], Progress | None]


class Unreadable(NamedTuple):
    """An image that was skipped.

    Attributes:
        part: The part it belongs to.
        source: Its path or row.
        reason: Why it cannot be read.
    """

    part: str
    source: str
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class DataParts:
    """The faces of one or more parts; a part is a split, or a data set without splits.

    Attributes:
        faces: All faces, part by part, over the union of all classes.
        part: `(n,)` int64, the part of each face, as an index into `names`.
        names: Unique names of the parts.
        unreadable: The images that were skipped.

    Raises:
        ValueError: `part` is not one valid index for each face.
    """

    faces: LabelledFaces
    part: npt.NDArray[np.int64]
    names: tuple[str, ...]
    unreadable: tuple[Unreadable, ...] = ()

    def __post_init__(self) -> None:
        known = self.part.shape == (len(self.faces),) and ((self.part >= 0) & (self.part < len(self.names))).all()
        if not known:
            raise ValueError(
                f"part: expected {len(self.faces)} indices from 0 to {len(self.names) - 1}, got shape "
                f"{self.part.shape} or values out of range"
            )

    def __len__(self) -> int:
        return len(self.faces)

    @property
    def counts(self) -> npt.NDArray[np.int64]:
        """Return `(C, P)` int64, the number of faces of each class in each part."""
        table = np.zeros((len(self.faces.classes), len(self.names)), np.int64)
        np.add.at(table, (self.faces.labels, self.part), 1)
        return table


def read_parts(paths: Sequence[Path], progress: Stages = lambda stage: None) -> DataParts:
    """Read data sets with all their splits.

    A part is named after its split. Where that is ambiguous (no split, or two splits of the same name), it is named
    after its path.

    Args:
        paths: One or more paths that `embeddings.data.readers` can read.
        progress: Called with the name of each stage; returns a callback for its progress.

    Raises:
        DataError: There is no path, a path is named twice, or one cannot be read.
    """
    if not paths or len({path.resolve() for path in paths}) < len(paths):
        named = ", ".join(str(path) for path in paths) or "none"
        raise DataError(f"data: expected one or more different data sets, got {named}; name each once")
    read = [
        (path, split, faces)
        for path in paths
        for split, faces in read_splits(path, progress=progress(f"read {path.name}")).items()
    ]
    splits = [split for _, split, _ in read]
    names = [split if split and splits.count(split) == 1 else f"{path} {split}".strip() for path, split, _ in read]
    parts = [faces for _, _, faces in read]
    return DataParts(
        faces=merge(parts),
        part=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
        names=tuple(names),
        unreadable=tuple(
            Unreadable(name, one.source, one.reason)
            for name, part in zip(names, parts, strict=True)
            for one in part.skipped
        ),
    )
