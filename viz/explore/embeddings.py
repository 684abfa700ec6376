"""Embeddings of a data set's faces, reused from the bundle's gallery where it contains them.

A bundle's gallery holds the faces that its network was trained on. For these faces this saves nearly a minute of
encoding, and tells which faces the network has learned from.
"""

import numpy as np

from moodspace.arrays import BoolArray, FloatArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.face_pictures import gallery_rows
from moodspace.embeddings.data.labelled import LabelledFaces, Progress
from moodspace.embeddings.encoder import encode_all


def embed_faces(bundle: Bundle, faces: LabelledFaces, progress: Progress | None = None) -> tuple[FloatArray, BoolArray]:
    """Embed faces, and tell which of them the bundle's network was trained on.

    Which faces the gallery holds, `gallery_rows` tells.

    Args:
        bundle: Provides the encoder and the gallery.
        faces: The n faces.
        progress: Called with the number of faces encoded so far and the total.

    Returns:
        `(n, d)` float32, rows of unit length, and `(n,)` bool, whether the gallery holds the face.
    """
    rows = gallery_rows(bundle, faces)
    known = rows >= 0
    embeddings = np.zeros((len(faces), bundle.encoder.dim), np.float32)
    embeddings[known] = bundle.index.gallery.embeddings[rows[known]]
    if not known.all():
        embeddings[~known] = encode_all(bundle.encoder, faces.crops[~known], progress).embeddings
    return embeddings, known
