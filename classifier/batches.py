"""Runs any number of crops through a network in batches, so that memory stays bounded and progress can be told."""

from collections.abc import Callable, Iterator

import numpy as np
import numpy.typing as npt

from embeddings.encoder import Encoded, Encoder

Progress = Callable[[int, int], None]
BATCH = 256


def batches(
    crops: npt.NDArray[np.uint8], progress: Progress | None = None, size: int = BATCH
) -> Iterator[npt.NDArray[np.uint8]]:
    """Yields the crops in batches, in order; of no crops one empty batch.

    Args:
        crops: `(n, 48, 48)` uint8 in [0, 255], grey.
        progress: called with the number of faces done and the total, after each batch.
        size: faces in a batch; the last may have fewer.
    """
    for start in range(0, max(len(crops), 1), size):
        yield crops[start : start + size]
        if progress is not None:
            progress(min(start + size, len(crops)), len(crops))


def encode_all(encoder: Encoder, crops: npt.NDArray[np.uint8], progress: Progress | None = None) -> Encoded:
    """Encodes any number of crops, in batches.

    Args:
        encoder: the network.
        crops: `(n, 48, 48)` uint8 in [0, 255], grey.
        progress: called with the number of faces done and the total, after each batch.
    """
    parts = [encoder.encode(batch) for batch in batches(crops, progress)]
    logits = {name: np.concatenate([part.logits[name] for part in parts]) for name in parts[0].logits}
    return Encoded(np.concatenate([part.embeddings for part in parts]), logits)
