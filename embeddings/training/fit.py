"""Train an encoder: from crops and targets to batches, one Keras `fit`, and the best weights. On TensorFlow or JAX."""

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

from moodspace.arrays import ByteArray, FloatArray
from moodspace.embeddings.data.labels import Targets
from moodspace.embeddings.encoder import EMBEDDING
from moodspace.embeddings.files.names import write_whole
from moodspace.embeddings.training.augmentation import NO_AUGMENTATION, Augment
from moodspace.embeddings.training.callbacks import Report, TrainingCheckpoint, Validation
from moodspace.embeddings.training.losses import TripletLoss, active_triplets, soft_cross_entropy
from moodspace.embeddings.training.network import Distill, training_model
from moodspace.embeddings.training.recipe import Recipe
from moodspace.embeddings.training.trained import TrainingError, load_encoder, new_encoder
from moodspace.embeddings.training.training_folder import CONFIG, WEIGHTS

Batch = tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]


@dataclasses.dataclass(frozen=True, slots=True)
class FaceTargets:
    """Crops and their targets in each label set.

    Attributes:
        crops: `(n, 48, 48)` uint8 gray in [0, 255].
        targets: Targets of `n` rows by label set. The labels of the first set make the triplets.
    """

    crops: ByteArray
    targets: dict[str, Targets]

    @property
    def classes(self) -> dict[str, tuple[str, ...]]:
        """Class names of each label set in column order."""
        return {name: tuple(targets.classes) for name, targets in self.targets.items()}


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
    """Train an encoder and write its best weights, its log and the checkpoint to resume from to `folder`.

    Args:
        train: Faces to learn from.
        validation: Faces to choose the best epoch by.
        recipe: The hyperparameters.
        folder: Folder for `training.json`, `log.csv`, `best.weights.h5` and `backup/`.
        teachers: Folders of finished trainings to distill from.
        data_hash: Hash of the data, stored with the recipe.
        resume: Continue a training that stopped. At most the interrupted epoch is repeated.
        report: Called after each epoch with its number and its row of the log.

    Raises:
        TrainingError: `folder` holds a training and `resume` is not set; the training in it had another recipe, other
            data or other teachers; a teacher has other classes; there are teachers but no `distill_weight`, or the
            reverse; or there is no face to learn from or to validate on.
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
        networks = [_load_teacher(teacher, train.classes) for teacher in teachers]
        # Written only now, so that a failed start leaves nothing that would have to be resumed.
        folder.mkdir(parents=True, exist_ok=True)
        write_whole(folder / CONFIG, lambda path: path.write_text(json.dumps(config, indent=1) + "\n"))
        batches = Batches(train.crops, train.targets, recipe)
        heads = recipe.softmax_weight > 0
        measure = Validation(encoder, validation.crops, validation.targets, folder, recipe.patience, report, heads)
        _fit(encoder, networks, batches, recipe, measure)
    finally:
        keras.config.set_dtype_policy(policy)


def _fit(
    encoder: keras.Model, teachers: list[keras.Model], batches: "Batches", recipe: Recipe, measure: Validation
) -> None:
    """Run Keras's `fit` from the first epoch, or from the last one that is in the checkpoint."""
    distill = Distill(teachers, recipe.distill_weight, recipe.distill_temperature) if teachers else None
    augment = Augment(None if recipe.augment else NO_AUGMENTATION, seed=recipe.seed)
    model = training_model(encoder, augment, distill)
    _compile(model, recipe, list(batches.proba), len(batches), label_share=1 - recipe.distill_weight)
    backup = TrainingCheckpoint(measure.log.parent / "backup" / "latest.weights.h5", len(batches))
    done = backup.restore(model)
    measure.resume(done)
    if measure.exhausted:
        return

    def begin(epoch: int, _: dict[str, float] | None = None) -> None:
        batches.start(epoch)
        _reseed(model, recipe.seed, epoch)

    callbacks = [keras.callbacks.LambdaCallback(on_epoch_begin=begin), measure, backup]
    # Not shuffled by Keras, which would use Python's global generator: a resumed training has it in another state.
    model.fit(batches, initial_epoch=done, epochs=recipe.epochs, shuffle=False, verbose=0, callbacks=callbacks)


class Batches(keras.utils.PyDataset):
    """Shuffled full batches of crops and targets, with the partners and weights of mixup.

    Each epoch depends on the seed and its number alone, so a resumed training sees the same batches. The crops are
    blended on the device (`network.Mixup`), after augmentation; the targets are blended here. A blended face takes no
    part in the triplets.

    Args:
        crops: `(n, 48, 48)` uint8 gray in [0, 255].
        targets: Targets of each label set. The labels of the first set make the triplets.
        recipe: Batch size, smoothing, mixup and seed.
    """

    def __init__(self, crops: ByteArray, targets: dict[str, Targets], recipe: Recipe) -> None:
        super().__init__()
        self.crops, self.recipe = crops, recipe
        self.size = min(recipe.batch, len(crops))
        self.labels = next(iter(targets.values())).labels.astype(np.int32)
        self.proba = {name: smooth(t.proba, recipe.label_smoothing) for name, t in targets.items()}
        self.start(0)

    def start(self, epoch: int) -> None:
        """Shuffle for an epoch. Call it before the epoch's first batch."""
        self.epoch = epoch
        self.order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(self.crops))

    def __len__(self) -> int:
        """Return the number of full batches; a partial batch would be compiled separately."""
        return len(self.crops) // self.size

    def __getitem__(self, index: int) -> Batch:
        """Return batch `index` of the current epoch."""
        rows = self.order[index * self.size : (index + 1) * self.size]
        partner, weight = self._mix(np.random.default_rng((self.recipe.seed, self.epoch, index)))
        targets = {}
        for name, proba in self.proba.items():
            own = proba[rows]
            targets[name] = weight[:, None] * own + (1 - weight[:, None]) * own[partner]
        targets[EMBEDDING] = np.where(weight > 0.999, self.labels[rows], -1).astype(np.int32)
        return {"crops": self.crops[rows], "partner": partner, "weight": weight}, targets

    def _mix(self, random: np.random.Generator) -> tuple[npt.NDArray[np.int32], FloatArray]:
        """Draw the partner of each face in a batch, `(b,)`, and the face's own share in [0.5, 1], `(b,)`."""
        partner, weight = np.arange(self.size, dtype=np.int32), np.ones(self.size, np.float32)
        if self.recipe.mixup > 0 and random.random() < self.recipe.mixup_share:
            partner = random.permutation(self.size).astype(np.int32)
            weight = random.beta(self.recipe.mixup, self.recipe.mixup, self.size).astype(np.float32)
            weight = np.maximum(weight, 1 - weight)
        return partner, weight


def smooth(proba: FloatArray, share: float) -> FloatArray:
    """Spread a share of each row evenly over the classes. A row of zeros, which has no label, stays zero.

    Args:
        proba: `(n, C)` float32 in [0, 1].
        share: Share to spread, in [0, 1].

    Returns:
        `(n, C)` float32.
    """
    total = proba.sum(axis=1, keepdims=True)
    return ((1 - share) * proba + share * total / proba.shape[1]).astype(np.float32)


def _reseed(model: keras.Model, seed: int, epoch: int) -> None:
    """Set the random state of augmentation and dropout from seed and epoch, because Keras (3.15) saves none of it."""
    weights = {id(variable) for variable in model.weights}
    states = [variable for variable in model.variables if id(variable) not in weights]
    random = np.random.default_rng((seed, epoch))
    for state in states:
        state.assign(random.integers(2**32, size=state.shape, dtype=np.uint32))


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


def _check_faces(train: FaceTargets, validation: FaceTargets) -> None:
    if validation.classes != train.classes:
        raise TrainingError(f"validation: expected the classes {train.classes}, got {validation.classes}.")
    if not len(train.crops):
        raise TrainingError("train: expected at least one face, got none.")
    for name, targets in validation.targets.items():
        if not (targets.labels >= 0).any():
            raise TrainingError(f"validation: expected faces with a label in {name!r}, got none.")


def _check_folder(folder: Path, config: dict[str, Any], resume: bool) -> None:
    """Refuse a folder that holds a training, unless it is this training and is to be resumed."""
    path = folder / CONFIG
    if not path.is_file():
        return
    if not resume:
        raise TrainingError(f"{folder}: expected no training, got one; resume it with --resume or name another --out.")
    if json.loads(path.read_text()) != json.loads(json.dumps(config)):
        raise TrainingError(
            f"{folder}: expected the recipe and data that this training started with, got others; "
            "use those or name another --out."
        )


def _load_teacher(folder: Path, classes: dict[str, tuple[str, ...]]) -> keras.Model:
    """Load an encoder and check that its shared label sets have the student's columns."""
    teacher = load_encoder(folder)
    found = json.loads((folder / CONFIG).read_text())["classes"]
    shared = found.keys() & classes.keys()
    if not shared or any(tuple(found[name]) != classes[name] for name in shared):
        raise TrainingError(f"{folder}: expected a teacher of the classes {classes}, got one of {found}.")
    return teacher


def _digest(file: Path) -> str:
    if not file.is_file():
        raise TrainingError(f"{file}: expected the weights of a finished training to distill from, got no such file.")
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
