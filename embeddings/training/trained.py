"""Rebuild trained encoders from their folders, and merge several into one."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers, ops

from moodspace.arrays import ByteArray
from moodspace.embeddings.encoder import EMBEDDING
from moodspace.embeddings.files.names import write_whole
from moodspace.embeddings.training.callbacks import write_weights
from moodspace.embeddings.training.network import BACKBONES, UnitLength, build_encoder
from moodspace.embeddings.training.recipe import Recipe
from moodspace.embeddings.training.training_folder import CONFIG, WEIGHTS, describe_training
from moodspace.errors import MoodspaceError

PROJECTION, JOINED = "joint_projection", "joined"


def merge_encoders(members: Sequence[keras.Model], *, dim: int) -> keras.Model:
    """Build an encoder that averages others.

    The joint embedding is the concatenation of the members' embeddings, whose cosine is the mean of the members'
    cosines, projected to `dim` numbers by a matrix with orthonormal columns, which `fit_projection` sets.

    Args:
        members: Two or more encoders from `network.build_encoder`, with the same label sets and classes.
        dim: Length of the joint embedding, at most the sum of the members'.

    Returns:
        An encoder with the inputs and outputs of the members.

    Raises:
        ValueError: There are fewer than two members, their label sets or classes differ, or `dim` is too large.
    """
    sets = [{name: output.shape[1] for name, output in member.output.items()} for member in members]
    heads = [name for name in (sets[0] if sets else {}) if name != EMBEDDING]
    if len(sets) < 2 or any(one | {EMBEDDING: 0} != sets[0] | {EMBEDDING: 0} for one in sets):
        raise ValueError(f"members: expected two or more encoders of the same label sets, got outputs {sets}.")
    width = sum(one[EMBEDDING] for one in sets)
    if not 1 <= dim <= width:
        raise ValueError(f"dim: expected 1 to {width}, the sum of the members', got {dim}.")
    faces = keras.Input(members[0].input.shape[1:], name="crops")
    named = [keras.Model(m.input, m.output, name=f"member_{place}") for place, m in enumerate(members)]
    predictions = [member(faces) for member in named]
    joined = layers.Concatenate(dtype="float32", name=JOINED)([one[EMBEDDING] for one in predictions])
    joined = layers.Dense(
        dim, use_bias=False, kernel_initializer="orthogonal", trainable=False, dtype="float32", name=PROJECTION
    )(joined)
    outputs = {EMBEDDING: UnitLength(dtype="float32", name=EMBEDDING)(joined)}
    for name in heads:
        outputs[name] = layers.Average(dtype="float32", name=name)([one[name] for one in predictions])
    return keras.Model(faces, outputs, name="encoder")


def fit_projection(encoder: keras.Model, crops: ByteArray) -> float:
    """Set the projection so that it keeps the cosines between the embeddings of these faces as well as possible.

    It consists of the leading right singular vectors of the concatenated embeddings. They are not centered, because a
    cosine is not.

    Args:
        encoder: A network from `merge_encoders`.
        crops: `(n, 48, 48)` uint8 gray, n >= 1, faces such as will be compared.

    Returns:
        The share of the squared length of the concatenated embeddings that `dim` numbers keep, in [0, 1].
    """
    joined = keras.Model(encoder.input, encoder.get_layer(JOINED).output)
    vectors = np.asarray(joined.predict(crops[..., None], batch_size=256, verbose=0), np.float64)
    power, directions = np.linalg.eigh(vectors.T @ vectors)
    kernel = encoder.get_layer(PROJECTION).kernel
    kept = kernel.shape[1]
    kernel.assign(ops.convert_to_tensor(directions[:, ::-1][:, :kept].astype(np.float32)))
    return float(power[::-1][:kept].sum() / power.sum())


class TrainingError(MoodspaceError):
    """A training cannot start or continue."""


def new_encoder(recipe: Recipe, classes: dict[str, tuple[str, ...]]) -> keras.Model:
    """Build the encoder of a recipe, with its initial weights.

    Args:
        recipe: Architecture, initial weights and sizes.
        classes: Class names of each label set, in column order.

    Returns:
        A model as from `network.build_encoder`.
    """
    if recipe.arch == "mobilenet_v2":
        init = None if recipe.init == "none" else recipe.init
        backbone = BACKBONES[recipe.arch](init, pixels=recipe.pixels, dense_map=recipe.dense_map)
    else:
        backbone = BACKBONES[recipe.arch]()
    return build_encoder(backbone, classes, dim=recipe.dim)


def load_encoder(folder: Path) -> keras.Model:
    """Rebuild the encoder of a training, with its best weights.

    Args:
        folder: The training folder.

    Raises:
        TrainingError: The folder has no finished epoch.
    """
    config, weights = folder / CONFIG, folder / WEIGHTS
    if not (config.is_file() and weights.is_file()):
        raise TrainingError(f"{folder}: expected {CONFIG} and {WEIGHTS} of a training, got one or none of them.")
    encoder = _described(json.loads(config.read_text()))
    encoder.load_weights(weights)
    return encoder


def _described(found: dict[str, Any]) -> keras.Model:
    """Build the network that a `training.json` describes, without its weights."""
    classes = {name: tuple(names) for name, names in found["classes"].items()}
    if "members" in found:
        recipes = [Recipe(**{**member["recipe"], "init": "none"}) for member in found["members"]]
        return merge_encoders([new_encoder(recipe, classes) for recipe in recipes], dim=found["dim"])
    return new_encoder(Recipe(**{**found["recipe"], "init": "none"}), classes)


def merge_trainings(
    members: Sequence[Path], folder: Path, crops: ByteArray, *, dim: int = 64, data_hash: str = ""
) -> None:
    """Merge several finished trainings into one network, and write a training folder for it.

    Args:
        members: Folders of finished trainings of the same label sets and classes, none of them merged itself.
        folder: Folder for `training.json` and `best.weights.h5`.
        crops: `(n, 48, 48)` uint8 gray, the training faces, to fit the joint embedding on.
        dim: Length of the joint embedding; at most the sum of the members'. Embeddings of few classes are close to a
            subspace of few dimensions: 64 keep 0.9998 of two on FER2013.
        data_hash: Hash of the data, stored with the members' recipes.

    Raises:
        TrainingError: A member is not finished, is itself merged or has other classes, or `folder` holds a training.
    """
    if (folder / CONFIG).exists():
        raise TrainingError(f"{folder}: expected no training, got one; name another --out.")
    networks = [load_encoder(member) for member in members]
    found = [describe_training(member) for member in members]
    if any("members" in one or one["classes"] != found[0]["classes"] for one in found):
        raise TrainingError(f"merge: expected single trainings of the classes {found[0]['classes']}, got others.")
    dim = min(dim, sum(network.output[EMBEDDING].shape[1] for network in networks))
    merged = merge_encoders(networks, dim=dim)
    kept = fit_projection(merged, crops)
    config = {"members": found, "classes": found[0]["classes"], "dim": dim, "kept": kept, "data": data_hash}
    folder.mkdir(parents=True, exist_ok=True)
    write_weights(folder / WEIGHTS, merged)
    write_whole(folder / CONFIG, lambda path: path.write_text(json.dumps(config, indent=1) + "\n"))
