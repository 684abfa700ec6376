"""The log of a training: one row an epoch, as CSV. Reading it takes no keras."""

import csv
from pathlib import Path

from moodspace.errors import MoodspaceError

LOG = "log.csv"


class LogError(MoodspaceError):
    """A training log that is missing or is something else."""


def read_log(path: Path) -> list[dict[str, float]]:
    """Returns the rows of a training log, one an epoch, in order.

    Raises:
        LogError: There is no such file, or it is no training log.
    """
    try:
        with path.open(newline="") as file:
            rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    except (OSError, ValueError, TypeError, csv.Error) as error:
        reason = " ".join(str(error).split())
        raise LogError(f"{path}: expected a training log with a number in every column, received: {reason}") from error
    if rows and not {"epoch", "loss"} <= rows[0].keys():
        raise LogError(f"{path}: expected a training log with columns epoch and loss, received {', '.join(rows[0])}")
    return rows


def find_log(run: Path) -> Path:
    """Returns where a training's log lies.

    Args:
        run: The log itself, the training's folder, or the bundle that was made of it.

    Raises:
        LogError: There is none: the bundle came without its training, or is the mean of several.
    """
    places = [run, run / LOG, run.with_name(run.name + ".training") / LOG]
    for place in places:
        if place.is_file():
            return place
    raise LogError(f"{run}: expected a training log, found neither {places[1]} nor {places[2]}; name one")
