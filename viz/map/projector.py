"""Write a map's faces as files for the TensorBoard projector, which computes its own layout in three dimensions.

`tensorboard --logdir FOLDER` opens them; the projector's own page loads the two TSV files with "Load".

Format:
    `vectors.tsv` has one line per face and no header. `metadata.tsv` has a header, because it has several columns, and
    one line per face. `projector_config.pbtxt` names both by relative paths. The sprite holds the images row by row in
    the order of the faces, all of one size, with at most 8192 pixels per side
    (tensorboard/plugins/projector: projector_config.proto, projector_plugin.py).
"""

import math
from pathlib import Path

import numpy as np
from PIL import Image

from moodspace.arrays import FloatArray, IntArray
from moodspace.embeddings.crops import SIZE
from moodspace.viz.map.face_map import UNLABELED, FaceMap

VECTORS, METADATA, SPRITE, CONFIG = "vectors.tsv", "metadata.tsv", "sprite.png", "projector_config.pbtxt"
HEADER = ("label", "predicted", "confidence", "verdict", "origin", "split", "id", "source")

# Half of the projector's limit, so that most graphics cards can hold the sprite.
SPRITE_PX = 4096
_MIN_PX = 16
_NO_IMAGE_GRAY = 200
_NO_SEPARATORS = str.maketrans("\t\n\r", "   ")


def write_projector(face_map: FaceMap, embeddings: FloatArray, folder: Path, *, sprite_px: int = SPRITE_PX) -> None:
    """Write the vectors, their metadata, the available images, and the configuration that names these files.

    Args:
        face_map: The faces.
        embeddings: `(n, d)` float32, of the same faces.
        folder: Output folder, made if missing.
        sprite_px: Maximum side of the sprite, in pixels.

    Raises:
        OSError: A file cannot be written.
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
    side = _thumbnail_px(len(face_map), sprite_px)
    if (face_map.picture >= 0).any() and side >= _MIN_PX:
        _sprite(face_map, side).save(folder / SPRITE)
        lines.append(f'sprite {{ image_path: "{SPRITE}" single_image_dim: {side} single_image_dim: {side} }}')
    (folder / CONFIG).write_text("embeddings {\n  " + "\n  ".join(lines) + "\n}\n", encoding="ascii")


def _rows(face_map: FaceMap) -> list[tuple[str, ...]]:
    def named(columns: IntArray, none: str) -> list[str]:
        names = np.array([*(name.translate(_NO_SEPARATORS) for name in face_map.classes), none])
        return [str(name) for name in names[columns]]

    known = (face_map.predicted >= 0) & (face_map.labels >= 0)
    verdict = np.where(~known, "", np.where(face_map.predicted == face_map.labels, "right", "wrong"))
    return list(
        zip(
            named(face_map.labels, UNLABELED),
            named(face_map.predicted, ""),
            ["" if np.isnan(one) else f"{one:.3f}" for one in face_map.confidence],
            verdict.tolist(),
            face_map.origin.tolist(),
            [split.translate(_NO_SEPARATORS) for split in face_map.splits.tolist()],
            map(str, face_map.ids.tolist()),
            [source.translate(_NO_SEPARATORS) for source in face_map.sources.tolist()],
            strict=True,
        )
    )


def _thumbnail_px(n: int, sprite_px: int) -> int:
    """Return the largest side of a thumbnail with which all faces fit into a square."""
    return min(SIZE, sprite_px // max(1, math.ceil(math.sqrt(n))))


def _sprite(face_map: FaceMap, side: int) -> Image.Image:
    across = math.ceil(math.sqrt(len(face_map)))
    sheet = Image.new("L", (across * side, math.ceil(len(face_map) / across) * side), _NO_IMAGE_GRAY)
    for place in np.flatnonzero(face_map.picture >= 0).tolist():
        face = Image.fromarray(face_map.crops[face_map.picture[place]])
        if side < SIZE:
            face = face.resize((side, side), Image.Resampling.BOX)
        sheet.paste(face, (place % across * side, place // across * side))
    return sheet
