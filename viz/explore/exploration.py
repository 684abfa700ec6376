"""What is in a data set: read it, measure it, and write a page to look at and a document to work with."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from moodspace.arrays import FloatArray, IntArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.viz.explore.copies import DuplicateFaces, find_copies
from moodspace.viz.explore.data import DataParts, Stages, read_parts
from moodspace.viz.explore.embeddings import embed_faces
from moodspace.viz.explore.label_errors import LabelErrors, find_label_errors

# Grey levels; a picture with less contrast shows nothing. FER2013's faint but real faces start at 8.
BLANK_BELOW = 4.0
_CHUNK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Exploration:
    """What was found in a data set of n faces.

    Attributes:
        data: The faces, and which part each is of.
        brightness: `(n,)` float32, mean grey in [0, 255].
        contrast: `(n,)` float32, standard deviation of the grey, in [0, 127.5].
        copies: Faces that are there more than once.
        errors: Labels that are likely wrong; None where nobody asked.
    """

    data: DataParts
    brightness: FloatArray
    contrast: FloatArray
    copies: DuplicateFaces
    errors: LabelErrors | None

    @property
    def blank(self) -> IntArray:
        """Pictures that show nothing."""
        return np.flatnonzero(self.contrast < BLANK_BELOW)


def explore(
    paths: Sequence[Path], *, bundle: Bundle | None = None, progress: Stages = lambda stage: None
) -> Exploration:
    """Looks at data sets, all of their splits together.

    Args:
        paths: One or more of what `embeddings.datasets` reads.
        bundle: Whose network says which labels are likely wrong; None to leave that out, and its time.
        progress: Called with a stage's name, returns what is called as the stage goes on.

    Raises:
        DataError: there is no path, one is named twice, or one cannot be read.
    """
    return explore_parts(read_parts(paths, progress), bundle=bundle, progress=progress)


def explore_parts(
    data: DataParts, *, bundle: Bundle | None = None, progress: Stages = lambda stage: None
) -> Exploration:
    """Does what `explore` does with what is read already."""
    faces = data.faces
    brightness, contrast = _light(faces.crops)
    copies = find_copies(faces.crops, progress("compare"))
    errors = None
    if bundle is not None:
        embeddings, learned = embed_faces(bundle, faces, progress("embed"))
        # It tells no steps: the bar only moves, and in a pipe a line says that it goes on.
        progress("look for wrong labels")
        errors = find_label_errors(embeddings, faces.labels, copies.families, learned, len(faces.classes))
    return Exploration(data, brightness, contrast, copies, errors)


def _light(crops: npt.NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
    """Returns mean and standard deviation of each face's grey, a few thousand faces at a time for memory's sake."""
    moments = [np.zeros((2, 0), np.float32)]
    for start in range(0, len(crops), _CHUNK):
        grey = crops[start : start + _CHUNK].reshape(-1, crops[0].size).astype(np.float32)
        moments.append(np.stack([grey.mean(axis=1), grey.std(axis=1)]))
    brightness, contrast = np.concatenate(moments, axis=1)
    return brightness, contrast
