"""From labelled faces to the best weights of an encoder, by one Keras `fit` on TensorFlow or JAX."""

import dataclasses
import json
import logging
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from embeddings.augment import Augment, Strength
from embeddings.backbones import BACKBONES
from embeddings.batches import Batches
from embeddings.labels import Targets
from embeddings.losses import TripletLoss, active_triplets, soft_cross_entropy
from embeddings.network import EMBEDDING, Distill, build_encoder, training_model
from embeddings.recipe import Recipe
from embeddings.validation import Report, Validation

_log = logging.getLogger(__name__)
STILL = Strength(
    rotation=0, zoom=0, stretch=0, shift=0, contrast=0, brightness=0, gamma=0, noise=0, blur=0, shadow=0, cutout=0,
    flip=False,
)  # fmt: skip


class TrainingError(ValueError):
    """A training that cannot start or go on."""


@dataclasses.dataclass(frozen=True, slots=True)
class Faces:
    """What is learned from: crops and, for each label set, their targets.

    Attributes:
        crops: `(n, 48, 48)` uint8 grey.
        targets: Targets of `n` rows under each label set's name; the first set's labels make the triplets.
    """

    crops: npt.NDArray[np.uint8]
    targets: dict[str, Targets]

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Class names of each label set in column order."""
        return {name: tuple(targets.classes) for name, targets in self.targets.items()}


def new_encoder(recipe: Recipe, classes: dict[str, tuple[str, ...]]) -> keras.Model:
    """Build the encoder that a recipe names, with its starting weights.

    Args:
        recipe: Architecture, start and sizes.
        classes: For each label set its class names in column order.

    Returns:
        Model as `embeddings.network.build_encoder` gives.
    """
    if recipe.arch == "mobilenet_v2":
        init = None if recipe.init == "none" else recipe.init
        backbone = BACKBONES[recipe.arch](init, pixels=recipe.pixels, dense_map=recipe.dense_map)
    else:
        backbone = BACKBONES[recipe.arch]()
    return build_encoder(backbone, classes, dim=recipe.dim)


def load_encoder(folder: Path) -> keras.Model:
    """Rebuild the encoder that a training left behind, with its best weights.

    Args:
        folder: What `train_encoder` wrote to.

    Raises:
        TrainingError: The folder holds no finished epoch.
    """
    config, weights = folder / "training.json", folder / "best.weights.h5"
    if not (config.is_file() and weights.is_file()):
        raise TrainingError(f"{folder}: expected training.json and best.weights.h5 of a training, found neither or one.")
    found = json.loads(config.read_text())
    recipe = Recipe(**{**found["recipe"], "init": "none"})
    encoder = new_encoder(recipe, {name: tuple(names) for name, names in found["classes"].items()})
    encoder.load_weights(weights)
    return encoder


def train_encoder(
    train: Faces,
    validation: Faces,
    recipe: Recipe,
    folder: Path,
    *,
    teachers: Sequence[Path] = (),
    data_hash: str = "",
    resume: bool = False,
    report: Report | None = None,
) -> None:
    """Train an encoder; the best weights, the log and all that a resumption needs stay in `folder`.

    Args:
        train: Faces to learn from.
        validation: Faces to choose the best epoch by.
        recipe: All choices.
        folder: For `training.json`, `log.csv`, `best.weights.h5` and `backup/`.
        teachers: Folders of finished trainings to distil from.
        data_hash: Of the data, kept beside the recipe.
        resume: Go on where a training in `folder` stopped; at most the epoch it was in is done again.
        report: Called after each epoch with its number and its row of the log.

    Raises:
        TrainingError: `folder` holds a training and `resume` is not set, or it was of another recipe or other data.
    """
    _open_folder(folder, {"recipe": recipe.to_json(), "classes": train.classes, "data": data_hash}, resume)
    keras.utils.set_random_seed(recipe.seed)
    if len(keras.distribution.list_devices()) > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    if recipe.bfloat16:
        keras.mixed_precision.set_global_policy("mixed_bfloat16")
    encoder = new_encoder(recipe, train.classes)
    distill = None
    if teachers:
        distill = Distill([load_encoder(t) for t in teachers], recipe.distill_weight, recipe.distill_temperature)
    model = training_model(encoder, Augment(None if recipe.augment else STILL, seed=recipe.seed), distill)
    batches = Batches(train.crops, train.targets, recipe)
    _compile(model, recipe, list(train.targets), len(batches), label_share=1 - recipe.distill_weight * bool(teachers))
    measure = Validation(encoder, validation.crops, validation.targets, folder, recipe.patience, report)
    model.fit(
        batches,
        epochs=recipe.epochs,
        verbose=0,
        callbacks=[
            keras.callbacks.LambdaCallback(on_epoch_begin=lambda epoch, _: setattr(batches, "epoch", epoch)),
            keras.callbacks.BackupAndRestore(folder / "backup", delete_checkpoint=False),
            keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
            measure,
        ],
    )


def _open_folder(folder: Path, config: dict[str, Any], resume: bool) -> None:
    """Write the training's description, or hold an interrupted one's against it."""
    path = folder / "training.json"
    config = json.loads(json.dumps(config))
    if path.is_file():
        if not resume:
            raise TrainingError(f"{folder}: holds a training already; give --resume to go on, or another --out.")
        if json.loads(path.read_text()) != config:
            raise TrainingError(f"{folder}: was begun with another recipe or other data; give those, or another --out.")
    folder.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(config, indent=1) + "\n")


def _compile(model: keras.Model, recipe: Recipe, label_sets: list[str], steps: int, label_share: float) -> None:
    losses: dict[str, Any] = {EMBEDDING: TripletLoss(recipe.triplet_mining, recipe.margin)}
    weights = {EMBEDDING: recipe.triplet_weight}
    for place, name in enumerate(label_sets):
        losses[name] = soft_cross_entropy
        weights[name] = label_share * recipe.softmax_weight * (recipe.side_weight if place else 1.0)
    metrics = {EMBEDDING: partial(active_triplets, margin=recipe.margin)}
    metrics[EMBEDDING].__name__ = "active_triplets"  # type: ignore[attr-defined]
    model.compile(optimizer=_optimizer(recipe, steps), loss=losses, loss_weights=weights, metrics=metrics)


def _optimizer(recipe: Recipe, steps: int) -> keras.optimizers.Optimizer:
    ema = {"use_ema": True, "ema_momentum": recipe.ema}
    if recipe.optimizer == "adam":
        return keras.optimizers.Adam(recipe.learning_rate, **ema)
    warmup = int(recipe.warmup * steps)
    rate = keras.optimizers.schedules.CosineDecay(
        0.0, max(recipe.epochs * steps - warmup, 1), warmup_target=recipe.learning_rate, warmup_steps=warmup
    )
    if recipe.optimizer == "sgd":
        return keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, weight_decay=recipe.weight_decay, **ema)
    optimizer = keras.optimizers.AdamW(rate, weight_decay=recipe.weight_decay, clipnorm=1.0, **ema)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer
