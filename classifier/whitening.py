"""Similarity that looks at what sets a face apart from faces in general.

A network that was trained to tell a few expressions apart spends most of its embedding on just those: of two faces
that are both neutral the cosine is near 1, whatever else they show. Whitened by the covariance of many faces, every
direction counts the same, and what is rare weighs as much as what is common. With a shared covariance this is linear
discriminant analysis, in which a class needs only a mean (Hariharan, Malik and Ramanan, "Discriminative Decorrelation
for Clustering and Classification", ECCV 2012).
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import numpy.typing as npt

from index.gallery import FloatArray

# Share of the mean variance that is added to each direction's, so that none is taken for certain. Between 0.001 and
# 0.01 near copies and other faces part equally well; 0.4 parts them five times worse (benchmarks.teach).
_RIDGE = 0.004


@dataclass(frozen=True, slots=True, eq=False)
class Whitening:
    """A linear map after which faces in general point everywhere alike.

    Attributes:
        mean: `(d,)` float32, the mean embedding.
        transform: `(d, d)` float32, applied from the right to what is left of an embedding without the mean.
    """

    mean: FloatArray
    transform: FloatArray

    @classmethod
    def fit(cls, embeddings: FloatArray) -> Self:
        """Fits mean and covariance.

        Args:
            embeddings: `(n, d)` float32 unit rows of many faces. Few faces know little of their covariance: the fewer
                there are, the nearer the result is to no whitening at all.
        """
        n, d = embeddings.shape
        if n < 2:
            return cls(np.zeros(d, np.float32), np.eye(d, dtype=np.float32))
        mean = embeddings.mean(axis=0, dtype=np.float64).astype(np.float32)
        rest = embeddings - mean
        covariance = (rest.T @ rest).astype(np.float64) / n
        spread = max(float(np.trace(covariance)) / d, 1e-12)
        values, vectors = np.linalg.eigh(covariance + (_RIDGE + d / n) * spread * np.eye(d))
        return cls(mean, (vectors / np.sqrt(values)).astype(np.float32))

    def __call__(self, embeddings: FloatArray) -> npt.NDArray[np.float32]:
        """Whitens embeddings, `(..., d)` float32, and brings each to unit length."""
        rows = (embeddings - self.mean) @ self.transform
        length = np.linalg.norm(rows, axis=-1, keepdims=True)
        return np.asarray(rows / np.maximum(length, 1e-12), np.float32)
