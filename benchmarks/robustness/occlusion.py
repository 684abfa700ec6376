"""Measure how often covered faces are called unknown, and how often the others are right, by threshold.

    python -m benchmarks occlusion fer2013/validation.parquet [--limit 1500] [--bundle bundles/fer2013]
    python -m benchmarks occlusion fer2013/train.parquet --fit [--limit 7000]

The first covers faces with drawn masks, scarves, hands, bars, pictures' edges, pixels and blur (`covers.py`),
whose textures are other ones than those fitted on. The second fits the weights of `embeddings.detection.occlusion` by
logistic regression and writes `embeddings/detection/occlusion_weights.py`.
"""

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from benchmarks.results import ROOT
from benchmarks.robustness.covers import FITTED_TEXTURES, MEASURED_TEXTURES, MOUTH, OTHERS, WHOLE, covered, eyes_bar
from benchmarks.robustness.webcam import CORRUPTIONS
from moodspace.arrays import BoolArray, ByteArray, FloatArray
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.evaluation import match_truth
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.readers import read_labelled_faces
from moodspace.embeddings.detection.occlusion import DIRECTIONS, MOST_HIDDEN, edges, mouth_hidden_probability
from moodspace.embeddings.detection.quality import LEAST_SHARPNESS, sharpness

WEIGHTS_FILE = ROOT / "embeddings" / "detection" / "occlusion_weights.py"
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7, MOST_HIDDEN, 0.8, 0.9)

# Penalty on the squared weights of standardized features, and steps of Newton's method.
_RIDGE, _STEPS = 10.0, 8
# What a webcam does to a face that can be read all the same.
_MILD = tuple(
    change for change in CORRUPTIONS
    if change.kind.split(",")[0] not in ("crop shifted", "crop scaled", "crop turned", "occlusion")
    and change.severity != "9 px"
)  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Scores:
    """What is measured of faces that are covered in one way.

    Attributes:
        hidden: `(n,)` float32, from `embeddings.detection.occlusion.mouth_hidden_probability`.
        blurred: `(n,)` bool, whether they are called blurred anyway.
        right: `(n,)` bool, whether the prediction is the face's label.
        sure: `(n,)` bool, whether the prediction is sure enough.
    """

    hidden: FloatArray
    blurred: BoolArray
    right: BoolArray
    sure: BoolArray

    def unreadable(self, threshold: float) -> float:
        """Return the share that is called unreadable."""
        return float((self.blurred | (self.hidden > threshold)).mean())

    def unknown(self, threshold: float) -> float:
        """Return the share that is called unknown, as unreadable or as unsure."""
        return float((self.blurred | (self.hidden > threshold) | ~self.sure).mean())

    def right_of_known(self, threshold: float) -> float:
        """Return which share of the faces that are called something is right; NaN where none is."""
        known = ~self.blurred & (self.hidden <= threshold) & self.sure
        return float(self.right[known].mean()) if known.any() else float("nan")


def measure(crops: ByteArray, labels: npt.NDArray[np.int64], recognizer: Recognizer) -> Scores:
    """Measure faces as they are.

    Args:
        crops: `(n, 48, 48)` uint8 grey.
        labels: `(n,)` columns of the recognizer's classes.
        recognizer: Predicts.
    """
    prediction = recognizer.predict(crops)
    blurred = np.array([sharpness(crop) < LEAST_SHARPNESS for crop in crops], bool)
    return Scores(mouth_hidden_probability(crops), blurred, prediction.labels == labels, ~prediction.unknown)


def measure_covers(
    crops: ByteArray, labels: npt.NDArray[np.int64], recognizer: Recognizer, *, seed: int = 0
) -> dict[str, Scores]:
    """Measure clear faces and all covers, by name."""
    scores = {"clear": measure(crops, labels, recognizer)}
    for name, cover in {**MOUTH, **WHOLE, **OTHERS}.items():
        scores[name] = measure(covered(crops, cover, MEASURED_TEXTURES, seed), labels, recognizer)
    return scores


def table(scores: Mapping[str, Scores], thresholds: Sequence[float] = THRESHOLDS) -> str:
    """Return the curve as a table: the share called unreadable by threshold, and two columns at the one in use."""
    head = ["faces", *(f"{value:g}" for value in thresholds), "unknown", "right of the rest", "right of all"]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for name, found in scores.items():
        cells = [100 * found.unreadable(value) for value in thresholds]
        cells += [100 * found.unknown(MOST_HIDDEN), 100 * found.right_of_known(MOST_HIDDEN), 100 * found.right.mean()]
        lines.append(f"| {name} | {' | '.join('-' if np.isnan(cell) else f'{cell:.1f}' for cell in cells)} |")
    return "\n".join(lines)


def training_faces(crops: ByteArray, seed: int = 0) -> tuple[ByteArray, BoolArray]:
    """Make faces to fit on: clear, moved, damaged and with covered eyes; and covered ones, which are True."""
    parts: list[tuple[ByteArray, bool]] = [
        (crops, False),
        (_moved(crops, seed), False),
        (_moved(crops, seed + 1), False),
    ]
    parts.append((_damaged(_moved(crops, seed + 2), seed), False))
    parts.append((covered(_moved(crops[::2], seed + 3), eyes_bar, FITTED_TEXTURES, seed), False))
    for number, cover in enumerate({**MOUTH, **WHOLE}.values()):
        made = covered(_moved(crops[number % 2 :: 2], seed + 10 + number), cover, FITTED_TEXTURES, seed + number)
        made[::4] = _damaged(made[::4], seed + number)
        parts.append((made, True))
    return np.concatenate([part for part, _ in parts]), np.concatenate([np.full(len(p), cover) for p, cover in parts])


def fitted(features: FloatArray, targets: BoolArray) -> tuple[FloatArray, float]:
    """Fit weights and bias by logistic regression, both kinds of faces weighing the same."""
    middle, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
    x = np.concatenate([(features - middle) / spread, np.ones((len(features), 1))], axis=1).astype(np.float64)
    y = targets.astype(np.float64)
    weigh = np.where(targets, 0.5 / max(y.mean(), 1e-9), 0.5 / max(1 - y.mean(), 1e-9))
    ridge = np.full(x.shape[1], _RIDGE)
    ridge[-1] = 0
    beta: npt.NDArray[np.float64] = np.zeros(x.shape[1])
    for _ in range(_STEPS):
        p = 1 / (1 + np.exp(-np.clip(x @ beta, -30, 30)))
        slope = x.T @ (weigh * (p - y)) + ridge * beta
        curve = (x * (weigh * np.maximum(p * (1 - p), 1e-6))[:, None]).T @ x + np.diag(ridge)
        beta = beta - np.linalg.solve(curve, slope)
    weights = beta[:-1] / spread
    return weights.astype(np.float32), float(beta[-1] - weights @ middle)


def weights_text(weights: FloatArray, bias: float) -> str:
    """Return the source of `embeddings/detection/occlusion_weights.py`."""
    rows = [", ".join(f"{value:.2f}" for value in row) for row in weights.reshape(-1, DIRECTIONS)]
    return (
        '"""The weights of `occlusion.py`, a row a cell, made by `python -m benchmarks occlusion --fit`."""\n'
        f"\nBIAS = {bias:.3f}\n\nWEIGHTS = (\n" + "".join(f"    {row},\n" for row in rows) + ")\n"
    )


def _moved(crops: ByteArray, seed: int) -> ByteArray:
    """Turn, scale, shift and mirror crops as much as landmarks are off."""
    rng, moved = np.random.default_rng(seed), np.empty_like(crops)
    middle = (SIZE - 1) / 2
    for row, crop in enumerate(crops):
        matrix = cv2.getRotationMatrix2D((middle, middle), rng.normal(0, 5), rng.uniform(0.88, 1.12))
        matrix[:, 2] = matrix[:, 2] + rng.normal(0, 1.5, 2)
        face = cv2.warpAffine(crop, matrix, (SIZE, SIZE), borderMode=cv2.BORDER_REPLICATE)
        moved[row] = face[:, ::-1] if rng.random() < 0.5 else face
    return moved


def _damaged(crops: ByteArray, seed: int) -> ByteArray:
    parts = np.array_split(crops, len(_MILD))
    return np.concatenate([change.apply(part, seed) for change, part in zip(_MILD, parts, strict=True)])


def main() -> None:
    """Read the arguments, fit or measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="labelled faces, in any layout that the project reads")
    parser.add_argument("--split", help="which split, where the data has several")
    parser.add_argument("--fit", action="store_true", help="fit the weights and write them into the source")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/fer2013"), help="the bundle that predicts")
    parser.add_argument("--labels", default="fer2013", help="the label set to predict")
    parser.add_argument("--limit", type=int, default=1500, help="read only so many faces, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws")
    arguments = parser.parse_args()
    faces = read_labelled_faces(arguments.data, split=arguments.split)
    rows = np.random.default_rng(arguments.seed).permutation(len(faces))[: arguments.limit]
    faces = faces.take(np.sort(rows))
    if arguments.fit:
        crops, targets = training_faces(faces.crops, arguments.seed)
        WEIGHTS_FILE.write_text(weights_text(*fitted(edges(crops), targets)))
        print(f"{len(crops)} faces made of {len(faces)}; wrote {WEIGHTS_FILE.name}")
        return
    recognizer = Recognizer(load_bundle(arguments.bundle), arguments.labels)
    labels = match_truth(faces, arguments.labels, recognizer.classes).labels
    print(f"{len(faces)} faces; % called unreadable by threshold; at {MOST_HIDDEN:g} % unknown, % right\n")
    print(table(measure_covers(faces.crops, labels, recognizer, seed=arguments.seed)))


if __name__ == "__main__":
    main()
