"""An evaluation in pictures: confusion matrix, calibration, error rate by coverage, classes, the surest mistakes."""

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

BINS = 15  # as the calibration error counts
MISTAKES = 48
_DPI = 160
_HEAD, _VOTES, _ENSEMBLE = "#0072B2", "#009E73", "#D55E00"


def plot_evaluation(judged: ScoredFaces, crops: ByteArray, out: Path, *, compared: str = "") -> list[Path]:
    """Draws all pictures of an evaluation.

    Args:
        judged: What was predicted.
        crops: `(m, 48, 48)` uint8 in [0, 255], grey, all faces of the data set, for the sheet of mistakes.
        out: A folder, made when missing. It then holds faces of the data set.
        compared: Which view is compared with which labels, in words; the view alone by default.

    Returns:
        The pictures written: PNG files.

    Raises:
        OSError: One cannot be written.
    """
    out.mkdir(parents=True, exist_ok=True)
    said = _sentence(compared or f"view {judged.label_set}")
    drawings: dict[str, Callable[[ScoredFaces, str], Any]] = {
        "confusion": _confusion,
        "reliability": _reliability,
        "risk-coverage": _risk,
        "classes": _classes,
    }
    written = [save(draw(judged, said), out / f"{name}.png") for name, draw in drawings.items()]
    if len(mistakes := surest_mistakes(judged)):
        written.append(out / "mistakes.png")
        contact_sheet([_mistake(judged, row, crops) for row in mistakes], columns=8).save(written[-1])
    return written


def _sentence(words: str) -> str:
    return f"{words[:1].upper()}{words[1:]}."


def surest_mistakes(judged: ScoredFaces) -> npt.NDArray[np.int64]:
    """Returns the rows of `judged` that are wrong, the most confident first, at most `MISTAKES`."""
    wrong = np.flatnonzero(judged.ensemble.argmax(axis=1) != judged.truth)
    return wrong[np.argsort(-judged.ensemble[wrong].max(axis=1), kind="stable")][:MISTAKES]


def _mistake(judged: ScoredFaces, row: int, crops: ByteArray) -> SheetFace:
    proba, place = judged.ensemble[row], int(judged.rows[row])
    called = judged.classes[int(proba.argmax())]
    truth = judged.classes[int(judged.truth[row])]
    return SheetFace(crops[place], f"{called} {proba.max():.0%}", f"not {truth}")


def _confusion(judged: ScoredFaces, said: str) -> Any:
    classes, predicted = judged.classes, judged.ensemble.argmax(axis=1).astype(np.int64)
    counts = confusion(predicted, judged.truth, len(classes))
    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    note = f"Rows: what {len(predicted):,} faces are labelled as. Shares of a row, and counts.\n{said}"
    figure = new_figure(7.6, 6.8, "Confusion matrix", note)
    axes = add_axes(figure, xlabel="predicted", ylabel="labelled")
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


def _reliability(judged: ScoredFaces, said: str) -> Any:
    confidence = judged.ensemble.max(axis=1).astype(np.float64)
    right = judged.ensemble.argmax(axis=1) == judged.truth
    error = ece(judged.ensemble, judged.truth, bins=BINS)
    note = f"On the line, confidence is how often it is right. Calibration error {error:.1%}, {BINS} bins.\n{said}"
    figure = new_figure(7.0, 6.6, "Calibration", note)
    axes = add_axes(figure, xlabel="confidence", ylabel="share that is right")
    bins = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    counts = np.bincount(bins, minlength=BINS)
    filled = np.flatnonzero(counts)
    rate = np.bincount(bins, weights=right, minlength=BINS)[filled] / counts[filled]
    mean = np.bincount(bins, weights=confidence, minlength=BINS)[filled] / counts[filled]
    axes.bar((filled + 0.5) / BINS, counts[filled] / counts.max() * 0.18, 0.92 / BINS, color=LIGHT.line, zorder=1)
    axes.plot([0, 1], [0, 1], color=LIGHT.faint, lw=1.2, ls=(0, (4, 4)))
    spread = 1.96 * np.sqrt(np.maximum(rate * (1 - rate), 1e-9) / counts[filled])
    axes.errorbar(mean, rate, spread, color=_ENSEMBLE, fmt="o-", lw=2, ms=6, elinewidth=1.2, capsize=0, zorder=3)
    axes.text(0.99, 0.2, "how many faces", ha="right", color=LIGHT.faint, size=8.5)
    axes.set(xlim=(0, 1), ylim=(0, 1.02), aspect="equal")
    in_percent(axes.xaxis, axes.yaxis)
    return figure


def _risk(judged: ScoredFaces, said: str) -> Any:
    note = f"Wrong answers when only the surest faces are answered. Lower is better.\n{said}"
    figure = new_figure(7.6, 5.4, "Error rate by coverage", note)
    axes = add_axes(figure, xlabel="share of faces answered", ylabel="share of wrong answers")
    for name, proba, colour in _witnesses(judged):
        curve = risk_coverage(proba, judged.truth)
        # The head is often the whole ensemble; broad and pale, it is seen behind it.
        style = {"lw": 6, "alpha": 0.35} if name == "head" else {"lw": 2}
        axes.plot(curve.coverage, curve.risk, color=colour, **style, label=f"{name}, all: {curve.risk[-1]:.1%} wrong")
    known = ~judged.unknown
    if known.any():
        risk = float((judged.ensemble.argmax(axis=1) != judged.truth)[known].mean())
        axes.plot(known.mean(), risk, "o", ms=9, mfc=LIGHT.paper, mec=_ENSEMBLE, mew=2, label="without unknown")
    axes.set(xlim=(0, 1.01), ylim=(0, None))
    in_percent(axes.xaxis, axes.yaxis)
    add_legend(axes, loc="upper left")
    return figure


def _classes(judged: ScoredFaces, said: str) -> Any:
    note = f"Share of each class's faces that are found. The dot is the ensemble's precision.\n{said}"
    figure = new_figure(8.4, 5.2, "Class by class", note)
    axes = add_axes(figure, ylabel="recall")
    axes.grid(visible=False, axis="x")
    places = np.arange(len(judged.classes))
    for step, (name, proba, colour) in enumerate(_witnesses(judged)):
        scores = per_class(proba.argmax(axis=1).astype(np.int64), judged.truth, len(judged.classes))
        bars = axes.bar(places + 0.27 * (step - 1), scores.recall, 0.25, color=colour, label=name)
        if name == "ensemble":
            axes.bar_label(bars, [f"{value:.0%}" for value in scores.recall], size=8, color=LIGHT.ink, padding=2)
            axes.plot(places + 0.27 * (step - 1), scores.precision, "o", ms=6, mfc=LIGHT.paper, mec=LIGHT.ink, mew=1.3)
            counted = [f"{one}\n{n:,}" for one, n in zip(judged.classes, scores.n, strict=True)]
            axes.set_xticks(places, counted)
    axes.set_ylim(0, 1.08)
    in_percent(axes.yaxis)
    add_legend(axes, ncols=3, loc="lower right", bbox_to_anchor=(1, 1))
    return figure


def _witnesses(judged: ScoredFaces) -> tuple[tuple[str, npt.NDArray[np.float32], str], ...]:
    return (
        ("head", judged.head, _HEAD),
        ("k-NN", judged.knn, _VOTES),
        ("ensemble", judged.ensemble, _ENSEMBLE),
    )
