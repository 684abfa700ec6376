"""The faces of a map as files for the TensorBoard projector, which lays them out anew in three dimensions.

`tensorboard --logdir FOLDER` opens them; on the projector's own page, "Load" takes the two TSV files.

Format:
    `vectors.tsv` has a face a line and no header; `metadata.tsv` has a header, as it has several columns, and then a
    face a line; `projector_config.pbtxt` names both, with paths relative to itself. A sprite holds the pictures row by
    row in the order of the faces, all of one size, at most 8192 pixels a side
    (tensorboard/plugins/projector: projector_config.proto, projector_plugin.py).
"""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from moodspace.arrays import FloatArray, IntArray
from moodspace.embeddings.crops import SIZE
from moodspace.viz.map.face_map import UNLABELLED, FaceMap

VECTORS, METADATA, SPRITE, CONFIG = "vectors.tsv", "metadata.tsv", "sprite.png", "projector_config.pbtxt"
HEADER = ("label", "predicted", "confidence", "verdict", "origin", "split", "id", "source")

# Half of what the projector takes: a graphics card has to hold it.
_SIDE_PX = 4096
_LEAST_PX = 16
_NO_PICTURE = 200
_TABLE = str.maketrans("\t\n\r", "   ")


def write_projector(face_map: FaceMap, embeddings: FloatArray, folder: Path) -> None:
    """Writes vectors, what is known of each, the pictures at hand, and the file that names all these.

    Args:
        face_map: The faces.
        embeddings: `(n, d)` float32, theirs.
        folder: Where to; made when missing.

    Raises:
        OSError: a file cannot be written.
    """
    folder.mkdir(exist_ok=True)
    with (folder / VECTORS).open("w", encoding="ascii", newline="\n") as file:
        np.savetxt(file, embeddings, fmt="%.4f", delimiter="\t")
    with (folder / METADATA).open("w", encoding="utf-8", errors="replace", newline="\n") as file:
        file.write("\t".join(HEADER) + "\n")
        file.writelines("\t".join(row) + "\n" for row in _rows(face_map))
    lines = [
        'tensor_name: "moodspace"',
        f'tensor_path: "{VECTORS}"',
        *(f"tensor_shape: {side}" for side in embeddings.shape),
        f'metadata_path: "{METADATA}"',
    ]
    side = _thumbnail_px(len(face_map))
    if (face_map.picture >= 0).any() and side >= _LEAST_PX:
        _sprite(face_map, side).save(folder / SPRITE)
        lines.append(f'sprite {{ image_path: "{SPRITE}" single_image_dim: {side} single_image_dim: {side} }}')
    (folder / CONFIG).write_text("embeddings {\n  " + "\n  ".join(lines) + "\n}\n", encoding="ascii")


def _rows(face_map: FaceMap) -> list[tuple[str, ...]]:
    def named(columns: IntArray, none: str) -> list[str]:
        names = np.array([*(name.translate(_TABLE) for name in face_map.classes), none])
        return [str(name) for name in names[columns]]

    known = (face_map.predicted >= 0) & (face_map.labels >= 0)
    verdict = np.where(~known, "", np.where(face_map.predicted == face_map.labels, "right", "wrong"))
    return list(
        zip(
            named(face_map.labels, UNLABELLED),
            named(face_map.predicted, ""),
            ["" if np.isnan(one) else f"{one:.3f}" for one in face_map.confidence],
            verdict.tolist(),
            face_map.origin.tolist(),
            [split.translate(_TABLE) for split in face_map.splits.tolist()],
            map(str, face_map.ids.tolist()),
            [source.translate(_TABLE) for source in face_map.sources.tolist()],
            strict=True,
        )
    )


def _thumbnail_px(n: int) -> int:
    """How large a picture may be for all to fit into a square."""
    return min(SIZE, _SIDE_PX // max(1, math.ceil(math.sqrt(n))))


def _sprite(face_map: FaceMap, side: int) -> Image.Image:
    across = math.ceil(math.sqrt(len(face_map)))
    sheet = Image.new("L", (across * side, math.ceil(len(face_map) / across) * side), _NO_PICTURE)
    for place in np.flatnonzero(face_map.picture >= 0).tolist():
        face = Image.fromarray(face_map.crops[face_map.picture[place]])
        if side < SIZE:
            face = face.resize((side, side), Image.Resampling.BOX)
        sheet.paste(face, (place % across * side, place // across * side))
    return sheet
