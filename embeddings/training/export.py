"""Export a trained Keras network to the `.tflite` file that ships, and compare the two."""

import re
import tempfile
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import keras
import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.embeddings.encoder import EMBEDDING, LiteRTEncoder
from moodspace.errors import MoodspaceError


class ExportError(MoodspaceError):
    """A network cannot be exported."""


def export_encoder(encoder: keras.Model, path: Path, *, int8_faces: ByteArray | None = None) -> None:
    """Write a network as a LiteRT file.

    By default weights are stored in half precision, and LiteRT computes in float32. With `int8_faces`, weights and
    activations are 8-bit integers, scaled to the ranges that occur on these faces: smaller and about twice as fast, but
    only approximately the same function. Input and outputs are float32 in both, so that
    `moodspace.embeddings.encoder.LiteRTEncoder` runs either.

    Args:
        encoder: A network from `network.build_encoder`.
        path: The `.tflite` file to write.
        int8_faces: `(n, 48, 48)` uint8 gray, n >= 1, a few hundred of the training faces; None for half precision.

    Raises:
        ExportError: Keras does not run on TensorFlow, `int8_faces` is empty, or TensorFlow cannot write its temporary
            files.

    Source: Jacob et al., "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
        Inference", CVPR 2018.
    """
    if keras.backend.backend() != "tensorflow":
        raise ExportError(
            f"export: expected Keras on TensorFlow, got {keras.backend.backend()}; the weights are kept; "
            "run the same command with --resume where TensorFlow is installed"
        )
    import tensorflow as tf

    options: dict[str, Any] = {"optimizations": [tf.lite.Optimize.DEFAULT]}
    if int8_faces is None:
        options["target_spec"] = {"supported_types": [tf.float16]}
    else:
        options["representative_dataset"] = _representative(encoder.input.name, int8_faces)
    with warnings.catch_warnings():
        # TensorFlow 2.21 finds the ranges with an interpreter of its own that it marks as deprecated.
        warnings.filterwarnings("ignore", r"\s*Warning: tf\.lite\.Interpreter is deprecated", UserWarning)
        try:
            encoder.export(path, format="litert", verbose=False, **options)
        except tf.errors.OpError as error:
            # TensorFlow writes the network to the temporary folder first, which may be full.
            reason = re.sub(r"\{\{.*?\}\} ?| ?\[Op:\w+\]", "", error.message)
            raise ExportError(
                f"export: expected TensorFlow to write the network to {tempfile.gettempdir()} first, got: "
                f"{reason}; free space there or set TMPDIR, and run the same command with --finish"
            ) from error


def _representative(name: str, crops: ByteArray) -> Callable[[], Iterator[dict[str, FloatArray]]]:
    """Return the function that yields the converter's inputs, one face at a time, to find the ranges on."""
    if not len(crops):
        raise ExportError("int8_faces: expected at least one face to find the ranges on, got none; use training faces")
    return lambda: ({name: crop[None, :, :, None].astype(np.float32)} for crop in crops)


def differences(encoder: keras.Model, exported: LiteRTEncoder, crops: ByteArray) -> FloatArray:
    """Return the largest difference of a probability between the two networks, for each face.

    Args:
        encoder: The Keras network.
        exported: The exported network, without `flip`.
        crops: `(n, 48, 48)` uint8 gray.

    Returns:
        `(n,)` float32 in [0, 1].
    """
    wanted, found = encoder.predict(crops[..., None], batch_size=256, verbose=0), exported.encode(crops)

    def softmax(logits: FloatArray) -> FloatArray:
        powers = np.exp(logits - logits.max(axis=1, keepdims=True))
        return powers / powers.sum(axis=1, keepdims=True)

    heads = [name for name in wanted if name != EMBEDDING]
    apart = [np.abs(softmax(wanted[name]) - softmax(found.logits[name])).max(axis=1) for name in heads]
    return np.max(apart, axis=0).astype(np.float32)
