"""Embeddings of a data set's faces, reused from the bundle's gallery where it contains them.

A bundle's gallery holds the faces that its network was trained on. For these faces this saves nearly a minute of
encoding, and tells which faces the network has learned from.
"""

from collections import Counter
from collections.abc import Iterable, Iterator

import numpy as np

from moodspace.arrays import BoolArray, FloatArray, IntArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.embeddings.data.labelled import LabelledFaces, Progress
from moodspace.embeddings.encoder import encode_all

_SAMPLE = 64
# Minimum cosine. 0.9997 was observed, due to the gallery's 16-bit rounding and to different processors; other faces are
# far below.
_SAME = 0.99


def embed_faces(bundle: Bundle, faces: LabelledFaces, progress: Progress | None = None) -> tuple[FloatArray, BoolArray]:
    """Embed faces, and tell which of them the bundle's network was trained on.

    A face counts as a gallery face if its source has the same name. A sample of these faces is encoded again: if any
    embedding differs, the names refer to other images and no face counts as a gallery face.

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


def gallery_rows(bundle: Bundle, faces: LabelledFaces) -> IntArray:
    """Return `(n,)` int64, the gallery row of each face, -1 where the gallery does not hold it; see `embed_faces`."""
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
    """Number sources of the same name in order: two pairs of FER2013's training faces share one name."""
    seen: Counter[str] = Counter()
    for source in sources:
        seen[source] += 1
        yield source, seen[source]
