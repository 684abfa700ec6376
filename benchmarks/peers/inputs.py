"""The inputs of all packages, as plain arrays in a folder: faces, clips and the vectors of a gallery."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray, FloatArray
from moodspace.embeddings.data.readers import read_labelled_faces
from moodspace.realtime.capture.decoder import Decoder

CLASSES = ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")


@dataclass(frozen=True, slots=True, eq=False)
class LabelledSet:
    """Labelled faces of FER2013's seven classes.

    Attributes:
        name: The last two parts of its path, such as `fer2013/validation`.
        crops: `(n, 48, 48)` uint8, gray.
        labels: `(n,)` int64, the position of each face's label in `CLASSES`.
        total: How many faces the file holds; more than n where a part was drawn.
    """

    name: str
    crops: ByteArray
    labels: npt.NDArray[np.int64]
    total: int

    @property
    def digest(self) -> str:
        """What the figures of these faces rest on."""
        return hashlib.sha256(self.crops.tobytes() + self.labels.tobytes()).hexdigest()[:16]


def read_set(path: Path, *, split: str | None = None, limit: int | None = None) -> LabelledSet:
    """Read labelled faces; draw `limit` of them at random, always the same ones, where there are more.

    Raises:
        ValueError: They have other classes.
    """
    faces = read_labelled_faces(path, split=split)
    if set(faces.classes) != set(CLASSES):
        raise ValueError(f"{path}: expected the classes {', '.join(CLASSES)}, got {', '.join(faces.classes)}")
    total = len(faces)
    if limit is not None and limit < total:
        faces = faces.take(np.sort(np.random.default_rng(0).choice(total, limit, replace=False)))
    labels = np.array([CLASSES.index(faces.classes[label]) for label in faces.labels], np.int64)
    name = "/".join(path.absolute().with_suffix("").parts[-2:])
    return LabelledSet(name, faces.crops, labels, total)


def write_inputs(
    folder: Path, crops: ByteArray, clips: Sequence[Path], vectors: FloatArray, frames: int
) -> list[dict[str, int | str]]:
    """Write the faces, the first frames of each clip and the gallery's vectors; return what the clips are.

    Raises:
        SourceError: A clip cannot be read.
    """
    crops.tofile(folder / "crops.u8")
    vectors.astype(np.float32).tofile(folder / "vectors.f32")
    (folder / "vectors.json").write_text(json.dumps({"dim": vectors.shape[1]}))
    told: list[dict[str, int | str]] = []
    for number, clip in enumerate(clips):
        count, height, width = 0, 0, 0
        with Decoder(clip) as decoder, (folder / f"clip{number}.rgb").open("wb") as file:
            for frame in decoder:
                if count == frames:
                    break
                file.write(np.ascontiguousarray(frame.bgr[..., ::-1]).tobytes())
                (height, width), count = frame.bgr.shape[:2], count + 1
        told.append({"name": clip.stem, "height": height, "width": width, "frames": count})
    (folder / "clips.json").write_text(json.dumps(told))
    return told
