"""From labelled faces to the best weights of an encoder, by one Keras `fit` on TensorFlow or JAX."""

import dataclasses
import hashlib
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from moodspace.embeddings.data.labels import Targets
from moodspace.embeddings.encoder import EMBEDDING
from moodspace.embeddings.training.augmentation import Augment, AugmentationStrength
from moodspace.embeddings.training.batches import Batches
from moodspace.embeddings.training.checkpoints import TrainingCheckpoint, write_whole
from moodspace.embeddings.training.losses import TripletLoss, active_triplets, soft_cross_entropy
from moodspace.embeddings.training.network import Distill, training_model
from moodspace.embeddings.training.recipe import Recipe
from moodspace.embeddings.training.trained import WEIGHTS, TrainingError, load_encoder, new_encoder
from moodspace.embeddings.training.validation import Report, Validation

STILL = AugmentationStrength(
    rotation=0, zoom=0, stretch=0, shift=0, contrast=0, brightness=0, gamma=0, noise=0, blur=0, shadow=0, cutout=0,
    flip=False,
)  # fmt: skip


@dataclasses.dataclass(frozen=True, slots=True)
class FaceTargets:
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


def _load_teacher(folder: Path, classes: dict[str, tuple[str, ...]]) -> keras.Model:
    """Load an encoder whose label sets are the student's, so that no column is taught as another."""
    teacher = load_encoder(folder)
    found = json.loads((folder / "training.json").read_text())["classes"]
    shared = found.keys() & classes.keys()
    if not shared or any(tuple(found[name]) != classes[name] for name in shared):
        raise TrainingError(f"{folder}: expected a teacher of the classes {classes}, got one of {found}.")
    return teacher


def train_encoder(
    train: FaceTargets,
    validation: FaceTargets,
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
        TrainingError: `folder` holds a training and `resume` is not set, or it was of another recipe, other data or
            other teachers; a teacher has other classes; there are teachers but no `distill_weight`, or the reverse; or
            there is no face to learn from or to validate by.
    """
    _check_faces(train, validation)
    if bool(teachers) != (recipe.distill_weight > 0):
        got = f"{len(teachers)} and a distill_weight of {recipe.distill_weight}"
        raise TrainingError(f"teachers: expected some with a distill_weight above 0, or neither, got {got}.")
    config = {"recipe": recipe.to_json(), "classes": train.classes, "data": data_hash}
    if teachers:
        config["teachers"] = [_digest(teacher / WEIGHTS) for teacher in teachers]
    _check_folder(folder, config, resume)
    if len(keras.distribution.list_devices()) > 1:
        keras.distribution.set_distribution(keras.distribution.DataParallel())
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_bfloat16" if recipe.bfloat16 else "float32")
    try:
        keras.utils.set_random_seed(recipe.seed)
        encoder = new_encoder(recipe, train.classes)
        lessons = [_load_teacher(teacher, train.classes) for teacher in teachers]
        # Only now, so that a start that failed leaves nothing that the next would have to resume.
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / "training.json", lambda path: path.write_text(json.dumps(config, indent=1) + "\n"))
        heads = recipe.softmax_weight > 0
        measure = Validation(encoder, validation.crops, validation.targets, folder, recipe.patience, report, heads)
        _fit(encoder, lessons, Batches(train.crops, train.targets, recipe), recipe, measure)
    finally:
        keras.config.set_dtype_policy(policy)


def _fit(
    encoder: keras.Model, teachers: list[keras.Model], batches: Batches, recipe: Recipe, measure: Validation
) -> None:
    distill = Distill(teachers, recipe.distill_weight, recipe.distill_temperature) if teachers else None
    model = training_model(encoder, Augment(None if recipe.augment else STILL, seed=recipe.seed), distill)
    label_share = 1 - recipe.distill_weight
    _compile(model, recipe, list(batches.proba), len(batches), label_share)
    backup = TrainingCheckpoint(measure.log.parent / "backup" / "latest.weights.h5", len(batches))
    done = backup.restore(model)
    measure.take_up(done)
    if measure.exhausted:
        return

    def begin(epoch: int, _: dict[str, float] | None = None) -> None:
        batches.start(epoch)
        _reseed(model, recipe.seed, epoch)

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=begin), measure, backup]
    # Unshuffled: Keras would order the batches by Python's global generator, which a resumed training has elsewhere.
    model.fit(batches, initial_epoch=done, epochs=recipe.epochs, shuffle=False, verbose=0, callbacks=callbacks)


def _reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Draw the state of augmentation and dropout from seed and epoch, as Keras (3.15) saves none of it."""
    weights = {id(variable) for variable in model.weights}
    states = [variable for variable in model.variables if id(variable) not in weights]
    random = np.random.default_rng((seed, epoch))
    for state in states:
        state.assign(random.integers(2**32, size=state.shape, dtype=np.uint32))


def _check_faces(train: FaceTargets, validation: FaceTargets) -> None:
    if validation.classes != train.classes:
        raise TrainingError(f"validation: expected the classes {train.classes}, got {validation.classes}.")
    if not len(train.crops):
        raise TrainingError("train: expected at least one face, got none.")
    for name, targets in validation.targets.items():
        if not (targets.labels >= 0).any():
            raise TrainingError(f"validation: expected faces with a label in {name!r}, got none.")


def _check_folder(folder: Path, config: dict[str, Any], resume: bool) -> None:
    """Hold an interrupted training's description against this one's."""
    path = folder / "training.json"
    if not path.is_file():
        return
    if not resume:
        raise TrainingError(f"{folder}: holds a training already; give --resume to go on, or another --out.")
    if json.loads(path.read_text()) != json.loads(json.dumps(config)):
        raise TrainingError(f"{folder}: was begun with another recipe or other data; give those, or another --out.")


def _digest(file: Path) -> str:
    if not file.is_file():
        raise TrainingError(f"{file}: expected the weights of a finished training to learn from, found none.")
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


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
    decay = {"weight_decay": recipe.weight_decay, **ema}
    if recipe.optimizer == "sgd":
        optimizer = keras.optimizers.SGD(rate, momentum=0.9, nesterov=True, **decay)
    else:
        optimizer = keras.optimizers.AdamW(rate, clipnorm=1.0, **decay)
    optimizer.exclude_from_weight_decay(var_names=["gamma", "beta", "bias"])
    return optimizer
