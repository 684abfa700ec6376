"""Training curves: loss, accuracy, learning rate, active triplets and distances by epoch, for one or more runs."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from moodspace.viz.plot import add_axes, add_legend, in_percent, new_figure, save
from moodspace.viz.theme import LIGHT

Rows = Sequence[Mapping[str, float]]

# Colors of the runs, distinguishable with all common kinds of color blindness (Okabe and Ito 2008).
_COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
_ACCURACY = "val_accuracy"
_STYLES = ("-", (0, (4, 1.6)), (0, (1, 1.2)))


def draw_curves(runs: Mapping[str, Rows], path: Path) -> None:
    """Write a PNG with a panel for each quantity that a run logged.

    Validation metrics are those of the averaged weights, which training keeps; a ring marks the best epoch. The legend
    of the first panel applies to all: a color for each run, a line style for each label set.

    Args:
        runs: The log of each run by name, as `read_log` returns it, at least one epoch each.
        path: The file to write; its folder exists.

    Raises:
        ValueError: There is no run, or a run has no epochs.
        OSError: The file cannot be written.
    """
    if not runs or not all(runs.values()):
        raise ValueError("curves: expected runs with at least one epoch, got none; train first")
    epochs = max(int(rows[-1]["epoch"]) for rows in runs.values())
    best = ", ".join(
        f"{name} {max(row[_ACCURACY] for row in rows):.1%}" for name, rows in runs.items() if _ACCURACY in rows[0]
    )
    counted = f"{len(runs)} run{'s' if len(runs) > 1 else ''}, up to {epochs} epochs"
    note = f"{counted}. Best validation accuracy: {best}."
    panels = [(title, columns) for title, columns in _panels(runs) if columns]
    rows = -(-len(panels) // 2)
    figure = new_figure(11.0, 0.9 + 3.3 * rows, "Training", note)
    for number, (title, columns) in enumerate(panels, 1):
        axes = add_axes(figure, rows, 2, number, xlabel="epoch")
        axes.set_title(title, size=11, loc="left")
        _draw(axes, runs, columns)
        if number == 1:
            add_legend(axes, loc="lower right")
    save(figure, path)


def _panels(runs: Mapping[str, Rows]) -> list[tuple[str, list[str]]]:
    """Return the title and the log columns of each panel."""
    logged = list(dict.fromkeys(column for rows in runs.values() for column in rows[0]))
    accuracies = [one for one in logged if one.startswith("val_") and one.endswith("_accuracy") and one != _ACCURACY]
    return [
        ("validation accuracy", accuracies or [column for column in logged if column == _ACCURACY]),
        ("training loss", [column for column in logged if column == "loss"]),
        ("validation loss", [one for one in logged if one.startswith("val_") and one.endswith("_loss")]),
        ("learning rate", [column for column in logged if column == "learning_rate"]),
        ("active triplets", [column for column in logged if column.endswith("active_triplets")]),
        ("mean distance between faces", [column for column in logged if column == "spread"]),
        ("validation recall@1", [column for column in logged if column == "val_recall_at_1"]),
    ]


def _draw(axes: Any, runs: Mapping[str, Rows], columns: Sequence[str]) -> None:
    for run, (name, rows) in enumerate(runs.items()):
        color = _COLORS[run % len(_COLORS)]
        for line, column in enumerate(columns):
            points = [(row["epoch"], row[column]) for row in rows if column in row]
            if not points:
                continue
            what = column.removeprefix("val_").removesuffix("_accuracy").removesuffix("_loss")
            label = f"{name}, {what}" if len(columns) > 1 else name
            axes.plot(*zip(*points, strict=True), color=color, ls=_STYLES[line % len(_STYLES)], lw=1.6, label=label)
            if column.endswith("accuracy"):
                axes.plot(*max(points, key=lambda point: point[1]), "o", ms=7, mfc=LIGHT.paper, mec=color, mew=1.8)
    if all(column.endswith(("accuracy", "recall_at_1", "active_triplets")) for column in columns):
        in_percent(axes.yaxis)
