"""Embeddings of a data set's faces, taken from the bundle's gallery where it holds them already.

A bundle's gallery is made of the faces that its network was trained on. Where the data are those, nearly a minute of
embedding is saved, and which faces the network has learned from is known.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from moodspace.arrays import BoolArray, FloatArray, IntArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.embeddings.data.labelled import LabelledFaces, Progress
from moodspace.embeddings.encoder import encode_all

_SAMPLE = 64
# Cosine; the gallery holds 16-bit numbers and processors differ, 0.9997 was seen. Other faces are far below.
_SAME = 0.99


def embed_faces(bundle: Bundle, faces: LabelledFaces, progress: Progress | None = None) -> tuple[FloatArray, BoolArray]:
    """Embeds faces, and says which the bundle's network was trained on.

    A face counts as one of the gallery's when its source has the same name there. A sample of those is embedded anew:
    if any of it differs, the names mean other pictures, and none of them is taken for known.

    Args:
        bundle: Holds the encoder and the gallery.
        faces: The faces.
        progress: Called with the faces embedded so far and their number.

    Returns:
        `(n, d)` float32 unit rows, and `(n,)` bool, whether the gallery holds the face.
    """
    rows = gallery_rows(bundle, faces)
    known = rows >= 0
    embeddings = np.zeros((len(faces), bundle.encoder.dim), np.float32)
    embeddings[known] = bundle.index.gallery.embeddings[rows[known]]
    if not known.all():
        embeddings[~known] = encode_all(bundle.encoder, faces.crops[~known], progress).embeddings
    return embeddings, known


def gallery_rows(bundle: Bundle, faces: LabelledFaces) -> IntArray:
    """Returns `(n,)` int64, the gallery's row of each face that it holds, -1 for others; see `embed_faces`."""
    gallery = bundle.index.gallery
    place = {source: row for row, source in enumerate(_numbered(gallery.sources.tolist()))}
    rows = np.array([place.get(source, -1) for source in _numbered(faces.sources)], np.int64)
    if (rows >= 0).any():
        sample = np.random.default_rng(0).permutation(np.flatnonzero(rows >= 0))[:_SAMPLE]
        anew = bundle.encoder.encode(faces.crops[sample]).embeddings
        if (np.einsum("nd,nd->n", anew, gallery.embeddings[rows[sample]]) < _SAME).any():
            rows[:] = -1
    return rows


def _numbered(sources: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Tells apart, in their order, those that have one name: two pairs of FER2013's training faces do."""
    seen: Counter[str] = Counter()
    for source in sources:
        seen[source] += 1
        yield source, seen[source]
