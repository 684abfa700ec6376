"""Plots of an evaluation: confusion matrix, calibration, error rate by coverage, classes, most confident errors."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray
from moodspace.classifier.evaluation import ScoredFaces
from moodspace.classifier.metrics import confusion, ece, per_class, risk_coverage
from moodspace.viz.contact_sheet import SheetFace, contact_sheet
from moodspace.viz.plot import add_axes, add_legend, in_percent, new_figure, save
from moodspace.viz.theme import LIGHT

BINS = 15  # of the calibration error
MAX_ERRORS = 48
_DPI = 160
_HEAD, _KNN, _ENSEMBLE = "#0072B2", "#009E73", "#D55E00"


def plot_evaluation(scored: ScoredFaces, crops: ByteArray, out: Path, *, compared: str = "") -> list[Path]:
    """Draw all plots of an evaluation.

    Args:
        scored: The scored faces.
        crops: `(m, 48, 48)` uint8 in [0, 255], gray, all faces of the data set.
        out: Output folder, made if missing; its contact sheet shows faces of the data set.
        compared: Which view is compared with which labels; by default only the view is named.

    Returns:
        The PNG files written.

    Raises:
        OSError: A file cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    subject = _sentence(compared or f"view {scored.label_set}")
    drawings: dict[str, Callable[[ScoredFaces, str], Any]] = {
        "confusion": _confusion,
        "reliability": _reliability,
        "risk-coverage": _risk,
        "classes": _classes,
    }
    written = [save(draw(scored, subject), out / f"{name}.png") for name, draw in drawings.items()]
    if len(mistakes := most_confident_errors(scored)):
        written.append(out / "mistakes.png")
        contact_sheet([_sheet_face(scored, row, crops) for row in mistakes], columns=8).save(written[-1])
    return written


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def most_confident_errors(scored: ScoredFaces) -> npt.NDArray[np.int64]:
    """Return the rows of wrong predictions, most confident first, at most `MAX_ERRORS`."""
    wrong = np.flatnonzero(scored.ensemble.argmax(axis=1) != scored.truth)
    return wrong[np.argsort(-scored.ensemble[wrong].max(axis=1), kind="stable")][:MAX_ERRORS]


def _sheet_face(scored: ScoredFaces, row: int, crops: ByteArray) -> SheetFace:
    proba, place = scored.ensemble[row], int(scored.rows[row])
    predicted = scored.classes[int(proba.argmax())]
    truth = scored.classes[int(scored.truth[row])]
    return SheetFace(crops[place], f"{predicted} {proba.max():.0%}", f"label: {truth}")


def _confusion(scored: ScoredFaces, subject: str) -> Any:
    classes, predicted = scored.classes, scored.ensemble.argmax(axis=1).astype(np.int64)
    counts = confusion(predicted, scored.truth, len(classes))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    note = f"Rows: labels of {len(predicted):,} faces. Columns: predictions. Percentages are of a row.\n{subject}"
    figure = new_figure(7.6, 6.8, "Confusion matrix", note)
    axes = add_axes(figure, xlabel="prediction", ylabel="label")
    axes.grid(visible=False)
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    for row, column in np.ndindex(*shares.shape):
        ink = "#ffffff" if shares[row, column] > 0.55 else LIGHT.ink
        style = {"ha": "center", "color": ink}
        weight = "bold" if row == column else "normal"
        axes.text(column, row - 0.1, f"{shares[row, column]:.0%}", va="center", size=11, weight=weight, **style)
        axes.text(column, row + 0.26, f"{counts[row, column]:,}", va="center", size=7.5, alpha=0.75, **style)
    axes.set_xticks(range(len(classes)), classes, rotation=30, ha="right")
    axes.set_yticks(range(len(classes)), classes)
    return figure


def _reliability(scored: ScoredFaces, subject: str) -> Any:
    confidence = scored.ensemble.max(axis=1).astype(np.float64)
    right = scored.ensemble.argmax(axis=1) == scored.truth
    error = ece(scored.ensemble, scored.truth, bins=BINS)
    note = f"On the dashed line, confidence equals accuracy. Calibration error {error:.1%}, {BINS} bins.\n{subject}"
    figure = new_figure(7.0, 6.6, "Calibration", note)
    axes = add_axes(figure, xlabel="confidence", ylabel="accuracy")
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = np.flatnonzero(counts)
    rate = np.bincount(bins, weights=right, minlength=BINS)[filled] / counts[filled]
    mean = np.bincount(bins, weights=confidence, minlength=BINS)[filled] / counts[filled]
    axes.bar((filled + 0.5) / BINS, counts[filled] / counts.max() * 0.18, 0.92 / BINS, color=LIGHT.line, zorder=1)
    axes.plot([0, 1], [0, 1], color=LIGHT.faint, lw=1.2, ls=(0, (4, 4)))
    spread = 1.96 * np.sqrt(np.maximum(rate * (1 - rate), 1e-9) / counts[filled])
    axes.errorbar(mean, rate, spread, color=_ENSEMBLE, fmt="o-", lw=2, ms=6, elinewidth=1.2, capsize=0, zorder=3)
    axes.text(0.99, 0.2, "number of faces", ha="right", color=LIGHT.faint, size=8.5)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    in_percent(axes.xaxis, axes.yaxis)
    return figure


def _risk(scored: ScoredFaces, subject: str) -> Any:
    note = f"Error rate when only the most confident predictions count. Lower is better.\n{subject}"
    figure = new_figure(7.6, 5.4, "Error rate by coverage", note)
    axes = add_axes(figure, xlabel="coverage: share of faces with a prediction", ylabel="error rate")
    for name, proba, color in _scores(scored):
        curve = risk_coverage(proba, scored.truth)
        # The curve of the head often coincides with the ensemble's: draw it wide and pale behind it.
        style = {"lw": 6, "alpha": 0.35} if name == "head" else {"lw": 2}
        axes.plot(
            curve.coverage, curve.risk, color=color, **style, label=f"{name}: {curve.risk[-1]:.1%} at full coverage"
        )
    known = ~scored.unknown
    if known.any():
        risk = float((scored.ensemble.argmax(axis=1) != scored.truth)[known].mean())
        axes.plot(
            known.mean(), risk, "o", ms=9, mfc=LIGHT.paper, mec=_ENSEMBLE, mew=2, label="ensemble without unknown"
        )
    axes.set(xlim=(0, 1.01), ylim=(0, None))
    in_percent(axes.xaxis, axes.yaxis)
    add_legend(axes, loc="upper left")
    return figure


def _classes(scored: ScoredFaces, subject: str) -> Any:
    note = f"Bars: recall, the share of a class's faces that is recognized. Dots: precision of the ensemble.\n{subject}"
    figure = new_figure(8.4, 5.2, "Recall and precision by class", note)
    axes = add_axes(figure, ylabel="recall")
    axes.grid(visible=False, axis="x")
    places = np.arange(len(scored.classes))
    for step, (name, proba, color) in enumerate(_scores(scored)):
        scores = per_class(proba.argmax(axis=1).astype(np.int64), scored.truth, len(scored.classes))
        bars = axes.bar(places + 0.27 * (step - 1), scores.recall, 0.25, color=color, label=name)
        if name == "ensemble":
            axes.bar_label(bars, [f"{value:.0%}" for value in scores.recall], size=8, color=LIGHT.ink, padding=2)
            axes.plot(places + 0.27 * (step - 1), scores.precision, "o", ms=6, mfc=LIGHT.paper, mec=LIGHT.ink, mew=1.3)
            counted = [f"{one}\n{n:,}" for one, n in zip(scored.classes, scores.n, strict=True)]
            axes.set_xticks(places, counted)
    axes.set_ylim(0, 1.08)
    in_percent(axes.yaxis)
    add_legend(axes, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def _scores(scored: ScoredFaces) -> tuple[tuple[str, npt.NDArray[np.float32], str], ...]:
    return (
        ("head", scored.head, _HEAD),
        ("k-NN", scored.knn, _KNN),
        ("ensemble", scored.ensemble, _ENSEMBLE),
    )
