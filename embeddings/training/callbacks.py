"""The two callbacks of a training: one measures each epoch and keeps the best weights, one saves what `--resume` needs.

All files are written whole or not at all.
"""

import csv
import io
import logging
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np

from moodspace.arrays import ByteArray, FloatArray, IntArray
from moodspace.embeddings.data.labels import Targets
from moodspace.embeddings.encoder import EMBEDDING
from moodspace.embeddings.files.names import write_whole
from moodspace.embeddings.training.training_folder import LOG, WEIGHTS, read_log

# Mean distance between embeddings below which they count as collapsed.
COLLAPSED = 0.05
_log = logging.getLogger(__name__)

Report = Callable[[int, dict[str, float]], None]


class Validation(keras.callbacks.Callback):
    """Measure the averaged weights on the validation faces, log a row, keep the best weights, and stop early.

    The moving average is in the model only while it is measured and saved. The weights are then restored exactly:
    `keras.callbacks.SwapEMAWeights` (Keras 3.15) swaps by addition on TensorFlow, and a resumed training would not
    repeat its rounding.

    Args:
        encoder: The network inside the training model.
        crops: `(n, 48, 48)` uint8 gray validation faces in [0, 255].
        targets: Their targets in each label set.
        folder: The training folder, for `log.csv` and `best.weights.h5`.
        patience: Epochs without improvement after which the training stops; 0 for never.
        report: Called with the epoch and its row.
        heads: Whether the heads are trained. If not, the best epoch is the one with the highest recall@1.
    """

    def __init__(
        self,
        encoder: keras.Model,
        crops: ByteArray,
        targets: dict[str, Targets],
        folder: Path,
        patience: int = 0,
        report: Report | None = None,
        heads: bool = True,
    ) -> None:
        super().__init__()
        self.encoder, self.crops, self.targets = encoder, crops, targets
        self.log, self.best_weights = folder / LOG, folder / WEIGHTS
        self.patience, self.report, self.heads = patience, report, heads
        self.rows: list[dict[str, float]] = []
        self.started = time.monotonic()

    def resume(self, epochs: int) -> None:
        """Continue the log of an interrupted training.

        Args:
            epochs: Number of its epochs to keep.
        """
        self.rows = read_log(self.log)[:epochs] if self.log.is_file() else []

    @property
    def exhausted(self) -> bool:
        """Whether the last `patience` epochs brought no improvement."""
        if not self.patience or not self.rows:
            return False
        best = int(np.argmax([row["val_accuracy"] for row in self.rows]))
        return len(self.rows) - 1 - best >= self.patience

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the epoch's clock."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Measure and log the epoch, keep its weights if they are the best, and decide whether to stop."""
        variables = self.model.trainable_variables
        weights = _copy(variables)
        self.model.optimizer.finalize_variable_values(variables)
        # On JAX the variables now share the memory of the averages, which `predict` of Keras 3.15 donates.
        _assign(variables, _copy(variables))
        row = self._row(epoch, logs or {})
        if row["val_accuracy"] > max((earlier["val_accuracy"] for earlier in self.rows), default=-1.0):
            write_weights(self.best_weights, self.encoder)
        _assign(variables, weights)
        self.rows.append(row)
        write_whole(self.log, self._write_log)
        # `not >=` instead of `<`, so that NaN is reported as well.
        if not row["spread"] >= COLLAPSED:
            _log.warning(
                "The embedding is collapsing: mean distance between faces %.3f, expected 0.5 to 1.4; "
                "lower the triplet weight or the learning rate.", row["spread"],
            )  # fmt: skip
        if self.report is not None:
            self.report(epoch, row)
        if self.exhausted:
            self.model.stop_training = True

    def _row(self, epoch: int, logs: dict[str, float]) -> dict[str, float]:
        row = {"epoch": epoch + 1, **logs, **self.measure()}
        row["learning_rate"] = keras.ops.convert_to_numpy(self.model.optimizer.learning_rate)
        row["seconds"] = time.monotonic() - self.started
        # Rounded here, and not when written, so that a resumed training compares the same numbers.
        return {name: float(f"{float(value):.6g}") for name, value in row.items()}

    def measure(self) -> dict[str, float]:
        """Return the validation columns of the log.

        These are accuracy and cross-entropy of each label set; recall@1 by the labels of the first set;
        `val_accuracy`, which chooses the best epoch (the mean accuracy, or recall@1 if no head is trained); and the
        spread of the embedding.
        """
        out = self.encoder.predict(self.crops[..., None], batch_size=512, verbose=0)
        row: dict[str, float] = {}
        for name, targets in self.targets.items():
            known = targets.labels >= 0
            logits, labels = np.asarray(out[name], np.float64)[known], targets.labels[known]
            logits -= logits.max(axis=1, keepdims=True)
            log_proba = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
            row[f"val_{name}_accuracy"] = float(np.mean(logits.argmax(axis=1) == labels))
            row[f"val_{name}_loss"] = float(-np.mean(log_proba[np.arange(len(labels)), labels]))
        row["val_recall_at_1"] = recall_at_1(np.asarray(out[EMBEDDING]), next(iter(self.targets.values())).labels)
        accuracies = [row[f"val_{name}_accuracy"] for name in self.targets]
        row["val_accuracy"] = float(np.mean(accuracies)) if self.heads else row["val_recall_at_1"]
        row["spread"] = spread(np.asarray(out[EMBEDDING]))
        return row

    def _write_log(self, path: Path) -> None:
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(self.rows[0]), extrasaction="ignore")
            writer.writeheader()
            writer.writerows({name: f"{value:g}" for name, value in row.items()} for row in self.rows)


def _copy(variables: list[keras.Variable]) -> list[FloatArray]:
    # On JAX and a CPU `convert_to_numpy` alone returns a view of memory that is about to be reused.
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: list[keras.Variable], values: list[FloatArray]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def recall_at_1(embeddings: FloatArray, labels: IntArray) -> float:
    """Return the share of faces whose most similar other face has their label (Jegou et al. 2011).

    Args:
        embeddings: `(n, d)` float32, rows L2-normalized.
        labels: `(n,)` int; faces with -1 are left out.
    """
    known, labels = embeddings[labels >= 0], labels[labels >= 0]
    if len(labels) < 2:
        return 0.0
    nearest = []
    for start in range(0, len(known), 1000):
        similarity = known[start : start + 1000] @ known.T
        rows = np.arange(len(similarity))
        similarity[rows, start + rows] = -np.inf
        nearest.append(similarity.argmax(axis=1))
    return float(np.mean(labels[np.concatenate(nearest)] == labels))


def spread(embeddings: FloatArray) -> float:
    """Return the mean distance between pairs of embeddings. Near 0 the embedding has collapsed.

    Args:
        embeddings: `(n, d)` float32, rows L2-normalized; only the first 1,000 are used.
    """
    some = embeddings[:1000]
    similarity = (some @ some.T)[~np.eye(len(some), dtype=bool)]
    return float(np.sqrt(np.maximum(2 - 2 * similarity, 0)).mean()) if len(some) > 1 else 0.0


class TrainingCheckpoint(keras.callbacks.Callback):
    """Save weights and optimizer after each epoch, and restore them.

    `keras.callbacks.BackupAndRestore` (Keras 3.15) overwrites two files, weights and epoch; a kill in between gives the
    weights the number of another epoch. Here the optimizer's step count gives the epoch. Put this callback last, so
    that every epoch in the checkpoint has been measured.

    Args:
        path: The `.weights.h5` file.
        steps: Steps per epoch.
    """

    def __init__(self, path: Path, steps: int) -> None:
        super().__init__()
        self.path, self.steps = path, steps

    def restore(self, model: keras.Model) -> int:
        """Load the saved state, if there is one, into a compiled model.

        Args:
            model: The model, as at the start of the training.

        Returns:
            The number of finished epochs.

        Raises:
            ValueError: The file is damaged, or belongs to another model.
        """
        if not self.path.is_file():
            return 0
        model.optimizer.build(model.trainable_variables)
        try:
            model.load_weights(self.path)
        except (OSError, ValueError, KeyError) as error:
            raise ValueError(
                f"{self.path}: expected the backup of this training, got another file or a damaged one; "
                "delete its folder to start over"
            ) from error
        return int(keras.ops.convert_to_numpy(model.optimizer.iterations)) // self.steps

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Save the state."""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_weights(self.path, self.model)


class _Memory(io.BytesIO):
    """A file in memory with a name, from which Keras (3.15) infers the format."""

    def __str__(self) -> str:
        return "memory.weights.h5"


def write_weights(path: Path, model: keras.Model) -> None:
    """Write a model's weights whole or not at all.

    The file is built in memory first, because HDF5 crashes with a segmentation fault when it closes a file on a full
    disk.

    Args:
        path: The `.weights.h5` file; may exist.
        model: The model.

    Raises:
        OSError: The file cannot be written, for example because the disk is full. The old file stays.
    """
    memory = _Memory()
    model.save_weights(memory)
    write_whole(path, lambda file: file.write_bytes(memory.getbuffer()))
