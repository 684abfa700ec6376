"""Several trained encoders as one: their logits averaged, their embeddings joined and brought back to one length.

Averaged networks err less than each of them (Lakshminarayanan et al. 2017, deep ensembles). One network of two members
costs a face as much as one member that sees it and its mirror image.
"""

from collections.abc import Sequence

import keras
import numpy as np
import numpy.typing as npt
from keras import layers, ops

from embeddings.network import EMBEDDING, UnitLength

PROJECTION = "joint_projection"


def merge_encoders(members: Sequence[keras.Model], *, dim: int) -> keras.Model:
    """Build the encoder that averages others.

    The joined embedding is the members' embeddings side by side, whose cosines are the mean of the members' cosines,
    turned by a matrix with orthonormal columns into `dim` numbers. `fit_projection` sets it.

    Args:
        members: Two or more encoders as `embeddings.network.build_encoder` gives, of the same label sets and classes.
        dim: Length of the joined embedding, at most the sum of the members'.

    Returns:
        An encoder with the members' inputs and outputs.

    Raises:
        ValueError: Fewer than two members, members of other label sets or classes, or too large a `dim`.
    """
    sets = [{name: output.shape[1] for name, output in member.output.items()} for member in members]
    heads = [name for name in (sets[0] if sets else {}) if name != EMBEDDING]
    if len(sets) < 2 or any(one | {EMBEDDING: 0} != sets[0] | {EMBEDDING: 0} for one in sets):
        raise ValueError(f"members: expected two or more encoders of the same label sets, got outputs {sets}.")
    width = sum(one[EMBEDDING] for one in sets)
    if not 1 <= dim <= width:
        raise ValueError(f"dim: expected 1 to {width}, the members' together, got {dim}.")
    faces = keras.Input(members[0].input.shape[1:], name="crops")
    named = [keras.Model(m.input, m.output, name=f"member_{place}") for place, m in enumerate(members)]
    lessons = [member(faces) for member in named]
    joined = layers.Concatenate(dtype="float32", name="joined")([lesson[EMBEDDING] for lesson in lessons])
    joined = layers.Dense(
        dim, use_bias=False, kernel_initializer="orthogonal", trainable=False, dtype="float32", name=PROJECTION
    )(joined)
    outputs = {EMBEDDING: UnitLength(dtype="float32", name=EMBEDDING)(joined)}
    for name in heads:
        outputs[name] = layers.Average(dtype="float32", name=name)([lesson[name] for lesson in lessons])
    return keras.Model(faces, outputs, name="encoder")


def fit_projection(encoder: keras.Model, crops: npt.NDArray[np.uint8]) -> float:
    """Set the joining matrix to the directions in which these faces' embeddings are long, and so keep their cosines.

    These are the leading right singular vectors of the joined embeddings, not centred, since a cosine is not.

    Args:
        encoder: What `merge_encoders` gave.
        crops: `(n, 48, 48)` uint8 grey, n >= 1, faces of the kind that will be compared.

    Returns:
        The share of the joined embeddings' squared length that `dim` numbers keep, 0 to 1.
    """
    joined = keras.Model(encoder.input, encoder.get_layer("joined").output)
    vectors = np.asarray(joined.predict(crops[..., None], batch_size=256, verbose=0), np.float64)
    power, directions = np.linalg.eigh(vectors.T @ vectors)
    kernel = encoder.get_layer(PROJECTION).kernel
    kept = kernel.shape[1]
    kernel.assign(ops.convert_to_tensor(directions[:, ::-1][:, :kept].astype(np.float32)))
    return float(power[::-1][:kept].sum() / power.sum())
