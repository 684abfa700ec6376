"""From the trained Keras network to the `.tflite` file that ships, and the proof that the two agree."""

from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from embeddings.encoder import EMBEDDING, LiteRTEncoder


class ExportError(ValueError):
    """A network that cannot be exported here."""


def export_encoder(encoder: keras.Model, path: Path, *, float16: bool = True) -> None:
    """Write a network as LiteRT.

    Args:
        encoder: As `embeddings.network.build_encoder` gives.
        path: The `.tflite` file to write.
        float16: Store weights in half precision; LiteRT computes in float32 all the same.

    Raises:
        ExportError: Keras does not run on TensorFlow.
    """
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"export: expected Keras on TensorFlow, got {keras.backend.backend()}; the weights are kept, "
            "give the same command with --resume where TensorFlow is installed"
        )
    import tensorflow as tf

    options = {"optimizations": [tf.lite.Optimize.DEFAULT], "target_spec": {"supported_types": [tf.float16]}}
    encoder.export(path, format="litert", verbose=False, **(options if float16 else {}))


def largest_difference(encoder: keras.Model, exported: LiteRTEncoder, crops: npt.NDArray[np.uint8]) -> float:
    """Return the largest difference between any probability of the two networks.

    Args:
        encoder: The Keras network.
        exported: The written one, without `flip`.
        crops: `(n, 48, 48)` uint8 grey.
    """
    wanted, found = encoder.predict(crops[..., None], batch_size=256, verbose=0), exported.encode(crops)

    def softmax(logits: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    heads = [name for name in wanted if name != EMBEDDING]
    return max(float(np.abs(softmax(wanted[name]) - softmax(found.logits[name])).max()) for name in heads)
