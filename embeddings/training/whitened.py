"""Make the whitened penultimate features of a trained encoder its embedding.

The embedding that the heads read keeps little besides the classes, so its neighbors repeat the heads. The features
before it also know what else faces have in common. Whitening divides each principal direction of the training faces'
features by its standard deviation, so that all directions count alike (Jegou and Chum, "Negative evidences and
co-occurences in image retrieval", ECCV 2012). Neighbors in that space know more than the heads (docs/results.md).
"""

import keras
import numpy as np
from keras import layers

from moodspace.arrays import ByteArray, FloatArray
from moodspace.embeddings.encoder import EMBEDDING
from moodspace.embeddings.training.network import UnitLength
from moodspace.embeddings.training.trained import JOINED

# Numbers in the embedding of one network, and of several merged ones, where the gallery would become too large.
SINGLE_DIM, JOINT_DIM = 128, 80
# Each direction is divided by at least this share of the largest deviation. With fewer faces than directions some
# deviations are 0.
_LEAST_DEVIATION = 1e-3
# Number of faces, evenly spread over the data set, that the directions are fitted to.
_MOST_FACES = 10_000


def whitened_encoder(encoder: keras.Model, crops: ByteArray, *, dim: int | None = None) -> keras.Model:
    """Replace the embedding of an encoder by its whitened features. The logits stay as they are.

    The heads are linear in the old embedding, and that is linear in the features. So projection, normalization and
    head become one matrix, and the old embedding leaves the network. The features of a merged encoder's members are
    concatenated at equal total variance and whitened together.

    Args:
        encoder: A network from `network.build_encoder` or `trained.merge_encoders`.
        crops: `(n, 48, 48)` uint8 gray, n >= 1, the training faces, to fit the directions to.
        dim: Length of the new embedding; limited by the number of features. None for `SINGLE_DIM` or `JOINT_DIM`.

    Returns:
        A model with the inputs and outputs of the encoder: `embedding` `(n, dim)` float32, rows L2-normalized, and the
        logits of each label set.
    """
    merged = any(layer.name == JOINED for layer in encoder.layers)
    members = [layer for layer in encoder.layers if isinstance(layer, keras.Model)] if merged else [encoder]
    heads = [name for name in encoder.output if name != EMBEDDING]
    faces = keras.Input(encoder.input.shape[1:], name="crops")
    features = [
        keras.Model(member.input, member.get_layer("projection").input, name=f"features_{place}")(faces)
        for place, member in enumerate(members)
    ]
    crops = crops[:: max(1, len(crops) // _MOST_FACES)]
    found = keras.Model(faces, features).predict(crops[..., None], batch_size=256, verbose=0)
    found = [np.asarray(rows, np.float32) for rows in (found if isinstance(found, list) else [found])]
    sizes = [max(float(np.sqrt(rows.var(axis=0).sum())), 1e-6) for rows in found]
    scaled = np.concatenate([rows / size for rows, size in zip(found, sizes, strict=True)], axis=1)
    matrix, offset = fit_whitening(scaled, dim or (JOINT_DIM if merged else SINGLE_DIM))
    matrix = matrix / np.repeat(sizes, [rows.shape[1] for rows in found])[:, None]

    joined = layers.Concatenate(dtype="float32", name=JOINED)(features) if merged else features[0]
    whitening = layers.Dense(len(offset), dtype="float32", name="whitening")
    outputs = {EMBEDDING: UnitLength(dtype="float32", name="whitened")(whitening(joined))}
    whitening.set_weights([matrix, offset])
    for head in heads:
        logits = [
            _folded_head(member, head, f"{head}_{place}", rows)
            for place, (member, rows) in enumerate(zip(members, features, strict=True))
        ]
        outputs[head] = layers.Average(dtype="float32", name=f"mean_{head}")(logits) if merged else logits[0]
    return keras.Model(faces, outputs, name="encoder")


def _folded_head(encoder: keras.Model, head: str, name: str, features: keras.KerasTensor) -> keras.KerasTensor:
    """Return the logits computed from the features: projection, normalization and head as one matrix."""
    neck, (kernel, bias) = encoder.get_layer("neck"), encoder.get_layer(head).get_weights()
    gamma, beta, mean, variance = neck.get_weights()
    scale = gamma / np.sqrt(variance + neck.epsilon)
    (projection,) = encoder.get_layer("projection").get_weights()
    layer = layers.Dense(kernel.shape[1], dtype="float32", name=name)
    logits = layer(features)
    layer.set_weights([(projection * scale) @ kernel, (beta - mean * scale) @ kernel + bias])
    return logits


def fit_whitening(features: FloatArray, dim: int) -> tuple[FloatArray, FloatArray]:
    """Return the matrix and the offset that whiten features.

    Args:
        features: `(n, f)` float32, n >= 1.
        dim: Number of directions to keep, those of the largest variance; limited by f.

    Returns:
        `(f, d)` float32 and `(d,)` float32, for `features @ matrix + offset`.
    """
    mean = features.mean(axis=0, dtype=np.float64)
    centered = features - mean
    variance, directions = np.linalg.eigh(centered.T @ centered / len(features))
    kept = min(dim, len(variance))
    deviation = np.sqrt(np.maximum(variance[::-1][:kept], 0.0))
    floor = max(float(deviation[0]) * _LEAST_DEVIATION, 1e-6)
    matrix = directions[:, ::-1][:, :kept] / np.maximum(deviation, floor)
    return matrix.astype(np.float32), (-mean @ matrix).astype(np.float32)
