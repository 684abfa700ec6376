"""Measure how predictions change if only the look of a face changes, not its expression.

    python -m benchmarks fairness fer2013/validation.parquet
    python -m benchmarks fairness fer2013/validation.parquet --labels fer2013 --limit 1000 --json

Each face is changed in one way at a time: brightness and contrast of the skin, smooth or lined skin, drawn glasses,
beard and mask, and the size of the face. For each change the table has the accuracy, the share of faces with another
label that are called neutral (false neutral), how often the detector finds the face, and how many predictions differ
from those for the unchanged face. The last rows split the unchanged faces by yaw, estimated from the landmarks.

These are changes of pictures, not groups of people. FER2013 has no data on skin color, age, gender or origin, so
differences between such groups cannot be measured here. A drawn beard is not a beard. The table can show that a change
harms, not that no group is harmed.
"""

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.robustness.covers import MEASURED_TEXTURES, covered, mouth_mask
from benchmarks.robustness.crop_geometry import find
from moodspace.arrays import BoolArray, ByteArray, FloatArray, IntArray
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.evaluation import match_truth
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.readers import read_labelled_faces
from moodspace.embeddings.detection.quality import estimate_yaw

# The detector sees each crop enlarged and with a gray border, see `benchmarks/robustness/crop_geometry.py`.
_ENLARGEMENT, _PADDING = 4, 24
# Upper limits of the bins of yaw in degrees.
_YAWS = (10.0, 20.0, 35.0, 90.0)
# Shape of the skin region in eye distances: half its width, and how far it extends above the eyes and below the mouth.
_HALF_WIDTH, _ABOVE, _BELOW = 1.0, 0.6, 0.75

# Changes a face, given its five landmarks; both in pixels of the crop.
Change = Callable[[FloatArray, FloatArray], FloatArray]


def skin(landmarks: FloatArray) -> FloatArray:
    """Return a soft mask of the skin, `(48, 48)` float32 in [0, 1], without eyes and mouth."""
    eyes, mouth, nose = landmarks[:2], landmarks[3:], landmarks[2]
    unit = max(float(np.linalg.norm(eyes[1] - eyes[0])), 4.0)
    top, bottom = eyes[:, 1].mean() - _ABOVE * unit, mouth[:, 1].mean() + _BELOW * unit
    mask = np.zeros((SIZE, SIZE), np.float32)
    center = (round(float(nose[0])), round(float(top + bottom) / 2))
    cv2.ellipse(mask, center, (round(_HALF_WIDTH * unit), round(float(bottom - top) / 2)), 0, 0, 360, 1.0, -1)
    for point in eyes:
        cv2.ellipse(mask, _pixel(point), (round(0.3 * unit), round(0.17 * unit)), 0, 0, 360, 0.0, -1)
    half = max(round(float(abs(mouth[1, 0] - mouth[0, 0])) / 2), 1)
    cv2.ellipse(mask, _pixel(mouth.mean(axis=0)), (half, round(0.25 * unit)), 0, 0, 360, 0.0, -1)
    return np.asarray(cv2.GaussianBlur(mask, (0, 0), 1.0), np.float32)


def _pixel(point: FloatArray) -> tuple[int, int]:
    return round(float(point[0])), round(float(point[1]))


def skin_brightness(factor: float) -> Change:
    """Return a change that multiplies the gray levels of the skin."""

    def change(face: FloatArray, landmarks: FloatArray) -> FloatArray:
        return face * (1 + skin(landmarks) * np.float32(factor - 1))

    return change


def skin_contrast(factor: float) -> Change:
    """Return a change that multiplies the distance of the skin's gray levels from their mean."""

    def change(face: FloatArray, landmarks: FloatArray) -> FloatArray:
        mask = skin(landmarks)
        mean = (face * mask).sum() / max(float(mask.sum()), 1.0)
        return np.asarray(face + mask * (factor - 1) * (face - mean), np.float32)

    return change


def skin_detail(factor: float) -> Change:
    """Return a change that multiplies the fine structure of the skin: below 1 smooths it, above 1 deepens lines."""

    def change(face: FloatArray, landmarks: FloatArray) -> FloatArray:
        return np.asarray(face + skin(landmarks) * (factor - 1) * (face - cv2.GaussianBlur(face, (0, 0), 1.5)))

    return change


def glasses(face: FloatArray, landmarks: FloatArray) -> FloatArray:
    """Draw dark frames around the eyes, with clear lenses."""
    drawn = face.copy()
    unit = max(float(np.linalg.norm(landmarks[1] - landmarks[0])), 4.0)
    for point in landmarks[:2]:
        cv2.ellipse(drawn, _pixel(point), (round(0.36 * unit), round(0.26 * unit)), 0, 0, 360, 30.0, 1, cv2.LINE_AA)
    left, right = _pixel(landmarks[0] + [0.36 * unit, 0]), _pixel(landmarks[1] - [0.36 * unit, 0])
    cv2.line(drawn, left, right, 30.0, 1, cv2.LINE_AA)
    return drawn


def dark_glasses(face: FloatArray, landmarks: FloatArray) -> FloatArray:
    """Draw glasses whose lenses are dark."""
    drawn = glasses(face, landmarks)
    unit = max(float(np.linalg.norm(landmarks[1] - landmarks[0])), 4.0)
    for point in landmarks[:2]:
        cv2.ellipse(drawn, _pixel(point), (round(0.36 * unit), round(0.26 * unit)), 0, 0, 360, 25.0, -1, cv2.LINE_AA)
    return drawn


def beard(face: FloatArray, landmarks: FloatArray) -> FloatArray:
    """Draw a dark, grainy beard on cheeks and chin, and a mustache; the mouth stays free."""
    mask = skin(landmarks)
    nose, mouth = float(landmarks[2, 1]), float(landmarks[3:, 1].mean())
    below = np.clip((np.arange(SIZE) - (nose + 0.4 * (mouth - nose))) / 3, 0, 1).astype(np.float32)
    grain = np.random.default_rng(0).normal(0, 12, face.shape).astype(np.float32)
    share = 0.8 * mask * below[:, None]
    return np.asarray(face * (1 - share) + share * (45 + grain), np.float32)


def smaller(side: int) -> Change:
    """Return a change that resizes the face to `side` pixels and back."""

    def change(face: FloatArray, landmarks: FloatArray) -> FloatArray:
        small = cv2.resize(face, (side, side), interpolation=cv2.INTER_AREA)
        return np.asarray(cv2.resize(small, (SIZE, SIZE), interpolation=cv2.INTER_CUBIC), np.float32)

    return change


CHANGES: Mapping[str, Change] = {
    "skin, 50 % of the brightness": skin_brightness(0.5),
    "skin, 75 % of the brightness": skin_brightness(0.75),
    "skin, 125 % of the brightness": skin_brightness(1.25),
    "skin, half the contrast": skin_contrast(0.5),
    "skin smoother": skin_detail(0.3),
    "skin more lined": skin_detail(2.0),
    "glasses": glasses,
    "dark glasses": dark_glasses,
    "beard": beard,
    "24 pixels": smaller(24),
    "16 pixels": smaller(16),
}


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one kind of faces; shares in [0, 1], NaN without faces.

    Attributes:
        name: The change, or the range of yaw.
        n: Number of faces.
        accuracy: Share of right predictions.
        false_neutral: Share of the faces with another label that are called neutral.
        detected: Share that the detector finds.
        changed: Share whose predicted class differs from that of the unchanged face.
    """

    name: str
    n: int
    accuracy: float
    false_neutral: float
    detected: float
    changed: float


def study(crops: ByteArray, labels: IntArray, recognizer: Recognizer, *, seed: int = 0) -> list[Row]:
    """Measure all changes.

    Args:
        crops: `(n, 48, 48)` uint8 gray. Faces that the detector does not find unchanged are left out.
        labels: `(n,)` int64, columns of the recognizer's classes.
        recognizer: Predicts.
        seed: Seed of the textures of the masks.

    Raises:
        ValueError: The detector finds none of the faces.
    """
    landmarks = find(crops, _ENLARGEMENT, _PADDING)
    found = np.isfinite(landmarks).all(axis=(1, 2))
    if not found.any():
        raise ValueError(f"crops: expected faces that the detector finds, got none among {len(crops)}")
    share, crops, labels, landmarks = float(found.mean()), crops[found], labels[found], landmarks[found]
    plain = recognizer.predict(crops).labels
    rows = [_row("unchanged", plain, labels, plain, recognizer.classes, share)]
    changed = {name: _changed(crops, landmarks, change) for name, change in CHANGES.items()}
    changed["mask"] = covered(crops, mouth_mask, MEASURED_TEXTURES, seed)
    for name, pictures in changed.items():
        seen = np.isfinite(find(pictures, _ENLARGEMENT, _PADDING)).all(axis=(1, 2))
        predicted = recognizer.predict(pictures).labels
        rows.append(_row(name, predicted, labels, plain, recognizer.classes, float(seen.mean())))
    yaw, lowest = np.abs(estimate_yaw(landmarks)), 0.0
    for highest in _YAWS:
        inside: BoolArray = (yaw >= lowest) & (yaw < highest)
        name = f"yaw {lowest:.0f} to {highest:.0f} degrees"
        rows.append(_row(name, plain[inside], labels[inside], plain[inside], recognizer.classes, 1.0))
        lowest = highest
    return rows


def _changed(crops: ByteArray, landmarks: FloatArray, change: Change) -> ByteArray:
    pictures = [change(crop.astype(np.float32), at) for crop, at in zip(crops, landmarks, strict=True)]
    return np.clip(np.rint(pictures), 0, 255).astype(np.uint8)


def _row(
    name: str, predicted: IntArray, labels: IntArray, plain: IntArray, classes: tuple[str, ...], detected: float
) -> Row:
    if not len(labels):
        return Row(name, 0, *[float("nan")] * 4)
    neutral = classes.index("neutral") if "neutral" in classes else -1
    others = labels != neutral
    false_neutral = float((predicted[others] == neutral).mean()) if others.any() else float("nan")
    accuracy, changed = float((predicted == labels).mean()), float((predicted != plain).mean())
    return Row(name, len(labels), accuracy, false_neutral, detected, changed)


def table(rows: Sequence[Row]) -> str:
    """Return the figures as a Markdown table, in percent."""
    lines = ["| faces | n | accuracy | false neutral | detected | changed |", "|---|---|---|---|---|---|"]
    for row in rows:
        shares = (row.accuracy, row.false_neutral, row.detected, row.changed)
        cells = ["-" if np.isnan(share) else f"{100 * share:.1f}" for share in shares]
        lines.append(f"| {row.name} | {row.n} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="labelled faces")
    parser.add_argument("--split", help="split to read, if there are several")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/fer2013"), help="bundle to measure")
    parser.add_argument("--labels", help="view; the bundle's default if omitted")
    parser.add_argument("--limit", type=int, default=500, help="number of faces, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="seed of all draws")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    recognizer = Recognizer(load_bundle(options.bundle), options.labels)
    faces = read_labelled_faces(options.data, split=options.split)
    labels = match_truth(faces, recognizer.label_set, recognizer.classes).labels
    rows = np.random.default_rng(options.seed).permutation(np.flatnonzero(labels >= 0))[: options.limit]
    try:
        found = study(faces.crops[np.sort(rows)], labels[np.sort(rows)], recognizer, seed=options.seed)
    except ValueError as error:
        raise SystemExit(f"{options.data}: {error}") from error
    if options.json:
        print(json.dumps([asdict(row) for row in found]))
    else:
        print(f"View `{recognizer.label_set}`; shares in %.\n\n{table(found)}")


if __name__ == "__main__":
    main()
