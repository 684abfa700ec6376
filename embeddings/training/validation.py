"""What is measured after each epoch, and the best weights so far."""

import csv
import logging
import time
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import numpy.typing as npt

from moodspace.embeddings.data.labels import Targets
from moodspace.embeddings.encoder import EMBEDDING
from moodspace.embeddings.training.checkpoints import write_weights, write_whole
from moodspace.embeddings.training.log import LOG, read_log

COLLAPSED = 0.05
_log = logging.getLogger(__name__)

Report = Callable[[int, dict[str, float]], None]


class Validation(keras.callbacks.Callback):
    """Measure the averaged weights on the validation faces, log a CSV row, keep the best weights, stop when told.

    The moving average stands in the model only while it is measured and saved, and the weights are then put back to the
    bit: `keras.callbacks.SwapEMAWeights` (Keras 3.15) swaps by sums on TensorFlow, whose rounding a resumed training
    would not repeat.

    Args:
        encoder: The network inside the training model.
        crops: `(n, 48, 48)` uint8 validation faces.
        targets: Their targets for each label set.
        folder: Gets `log.csv` and `best.weights.h5`.
        patience: Epochs without improvement before the training stops; 0 never stops.
        report: Called with the epoch and its row.
        heads: Whether the heads are trained; if not, the best epoch is the one with the best recall@1.
    """

    def __init__(
        self,
        encoder: keras.Model,
        crops: npt.NDArray[np.uint8],
        targets: dict[str, Targets],
        folder: Path,
        patience: int = 0,
        report: Report | None = None,
        heads: bool = True,
    ) -> None:
        super().__init__()
        self.encoder, self.crops, self.targets = encoder, crops, targets
        self.log, self.best_weights = folder / LOG, folder / "best.weights.h5"
        self.patience, self.report, self.heads = patience, report, heads
        self.rows: list[dict[str, float]] = []
        self.started = time.monotonic()

    def take_up(self, epochs: int) -> None:
        """Go on with the log of an interrupted training.

        Args:
            epochs: How many of its epochs count.
        """
        self.rows = read_log(self.log)[:epochs] if self.log.is_file() else []

    @property
    def exhausted(self) -> bool:
        """Whether `patience` epochs brought nothing better."""
        if not self.patience or not self.rows:
            return False
        best = int(np.argmax([row["val_accuracy"] for row in self.rows]))
        return len(self.rows) - 1 - best >= self.patience

    def on_epoch_begin(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Start the epoch's clock."""
        self.started = time.monotonic()

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Measure, log, keep the best and decide whether to go on."""
        variables = self.model.trainable_variables
        weights = _copies(variables)
        self.model.optimizer.finalize_variable_values(variables)
        # On JAX the variables now share the averages' memory, which `predict` of Keras 3.15 gives away (donation).
        _assign(variables, _copies(variables))
        row = self._row(epoch, logs or {})
        if row["val_accuracy"] > max((earlier["val_accuracy"] for earlier in self.rows), default=-1.0):
            write_weights(self.best_weights, self.encoder)
        _assign(variables, weights)
        self.rows.append(row)
        write_whole(self.log, self._write_log)
        # Written so that NaN, for which every comparison is false, is reported as well.
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
        # Rounded here and not on the way to the file, so that a resumed training compares the same numbers.
        return {name: float(f"{float(value):.6g}") for name, value in row.items()}

    def measure(self) -> dict[str, float]:
        """Return what the CSV row says of the validation faces.

        Accuracy and cross-entropy for each label set; recall@1 among the faces by the first set's labels;
        `val_accuracy`, which chooses the best epoch: the mean accuracy, or recall@1 where no head is trained; the
        embedding's spread.
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


def _copies(variables: list[keras.Variable]) -> list[npt.NDArray[np.float32]]:
    # On JAX and a CPU `convert_to_numpy` alone would be a view of memory that is about to be used again.
    return [np.array(keras.ops.convert_to_numpy(variable)) for variable in variables]


def _assign(variables: list[keras.Variable], values: list[npt.NDArray[np.float32]]) -> None:
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def recall_at_1(embeddings: npt.NDArray[np.float32], labels: npt.NDArray[np.int64]) -> float:
    """Return the share of faces whose most similar other face has their label (Jegou et al. 2011).

    Args:
        embeddings: `(n, d)` float32, rows L2-normalised.
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


def spread(embeddings: npt.NDArray[np.float32]) -> float:
    """Return the mean distance between pairs of embeddings; near 0 says that the space has collapsed.

    Args:
        embeddings: `(n, d)` float32, rows L2-normalised; the first 1,000 are read.
    """
    some = embeddings[:1000]
    similarity = (some @ some.T)[~np.eye(len(some), dtype=bool)]
    return float(np.sqrt(np.maximum(2 - 2 * similarity, 0)).mean()) if len(some) > 1 else 0.0
