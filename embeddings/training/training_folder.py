"""The folder that a training writes: its description, log and best weights. Reading it does not need Keras."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.errors import MoodspaceError

CONFIG, LOG, WEIGHTS = "training.json", "log.csv", "best.weights.h5"


class LogError(MoodspaceError):
    """A training log is missing or unreadable."""


def training_folder(bundle: Path) -> Path:
    """Return the folder of a bundle's training: `<bundle>.training`, beside the bundle."""
    return bundle.with_name(bundle.name + ".training")


def describe_training(folder: Path) -> dict[str, Any]:
    """Return a training's recipe, label sets, data hash, number of epochs and best epoch.

    Args:
        folder: A training folder with at least one finished epoch. A merged training has its members under "members"
            and no epochs of its own.
    """
    described: dict[str, Any] = json.loads((folder / CONFIG).read_text())
    if "members" in described:
        return described
    accuracies = [row["val_accuracy"] for row in read_log(folder / LOG)]
    return described | {"epochs": len(accuracies), "best_epoch": 1 + int(np.argmax(accuracies))}


def read_log(path: Path) -> list[dict[str, float]]:
    """Return the rows of a training log, one per epoch, in order.

    Raises:
        LogError: The file does not exist or is not a training log.
    """
    try:
        with path.open(newline="") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise LogError(f"{path}: expected a training log with a number in every column, got: {reason}") from error
    if rows and not {"epoch", "loss"} <= rows[0].keys():
        raise LogError(f"{path}: expected a training log with columns epoch and loss, got {', '.join(rows[0])}")
    return rows


def find_log(run: Path) -> Path:
    """Return the path of a training's log.

    Args:
        run: The log itself, the training folder, or the bundle that the training made.

    Raises:
        LogError: There is no log: the bundle came without its training folder, or merges several trainings.
    """
    places = [run, run / LOG, training_folder(run) / LOG]
    for place in places:
        if place.is_file():
            return place
    raise LogError(f"{run}: expected a training log, found neither {places[1]} nor {places[2]}; name one")
