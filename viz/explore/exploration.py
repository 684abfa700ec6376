"""Explore a labeled data set: class counts, light, duplicates and likely label errors."""

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

# Gray levels. An image with less contrast is blank; FER2013's faintest real faces start at 8.
BLANK_BELOW = 4.0
_CHUNK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Exploration:
    """The findings about a data set of n faces.

    Attributes:
        data: The faces, and the part of each.
        brightness: `(n,)` float32, mean gray level in [0, 255].
        contrast: `(n,)` float32, standard deviation of the gray levels, in [0, 127.5].
        copies: Duplicate faces.
        errors: Likely label errors; None if they were not searched.
    """

    data: DataParts
    brightness: FloatArray
    contrast: FloatArray
    copies: DuplicateFaces
    errors: LabelErrors | None

    @property
    def blank(self) -> IntArray:
        """Return the rows of images without visible content."""
        return np.flatnonzero(self.contrast < BLANK_BELOW)


def explore(
    paths: Sequence[Path], *, bundle: Bundle | None = None, progress: Stages = lambda stage: None
) -> Exploration:
    """Explore data sets, all their splits together.

    Args:
        paths: One or more paths that `embeddings.data.readers` can read.
        bundle: Its network finds likely label errors; None skips this step, which takes the longest.
        progress: Called with the name of each stage; returns a callback for its progress.

    Raises:
        DataError: There is no path, a path is named twice, or one cannot be read.
    """
    return explore_parts(read_parts(paths, progress), bundle=bundle, progress=progress)


def explore_parts(
    data: DataParts, *, bundle: Bundle | None = None, progress: Stages = lambda stage: None
) -> Exploration:
    """Explore data that are already read; see `explore`."""
    faces = data.faces
    brightness, contrast = _light(faces.crops)
    copies = find_copies(faces.crops, progress("compare"))
    errors = None
    if bundle is not None:
        embeddings, learned = embed_faces(bundle, faces, progress("embed"))
        # This stage reports no steps.
        progress("find label errors")
        errors = find_label_errors(embeddings, faces.labels, copies.families, learned, len(faces.classes))
    return Exploration(data, brightness, contrast, copies, errors)


def _light(crops: npt.NDArray[np.uint8]) -> tuple[FloatArray, FloatArray]:
    """Return mean and standard deviation of each face's gray levels, in chunks that bound memory."""
    moments = [np.zeros((2, 0), np.float32)]
    for start in range(0, len(crops), _CHUNK):
        gray = crops[start : start + _CHUNK].reshape(-1, crops[0].size).astype(np.float32)
        moments.append(np.stack([gray.mean(axis=1), gray.std(axis=1)]))
    brightness, contrast = np.concatenate(moments, axis=1)
    return brightness, contrast
