"""Measure whether confidence equals accuracy, scene by scene, and fit how low quality lowers it.

    python -m benchmarks confidence fer2013/validation.parquet --everyday natural7/validation.parquet
    python -m benchmarks confidence fer2013/validation.parquet --everyday natural7/validation.parquet --fit

The scenes are the validation faces, with the labels of each label set; everyday faces; both detected and cropped again;
and a seeded sample of the validation faces under each corruption of `robustness/webcam.py` and each cover of
`robustness/covers.py`. For each the table has accuracy, calibration error (ECE) and gap, the mean confidence minus the
accuracy, in percent. The blend is scored against each label set, a label set only against its own labels.

`--fit` fits a `QualityEffect` for each view and stores them in the bundle. Its table is cross-fitted: no face is judged
by factors that were fitted to it. The fit minimizes the squared gaps, plus a little of the log loss.
"""

import argparse
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
from scipy.optimize import minimize

from benchmarks.robustness.covers import MEASURED_TEXTURES, MOUTH, OTHERS, WHOLE, covered
from benchmarks.robustness.crop_geometry import find
from benchmarks.robustness.webcam import CORRUPTIONS
from moodspace.arrays import BoolArray, DoubleArray, IntArray
from moodspace.classifier.bundle.bundle import Bundle, load_bundle, update_bundle
from moodspace.classifier.calibration import sharpen
from moodspace.classifier.evaluation import match_truth
from moodspace.classifier.fitting import assign_folds
from moodspace.classifier.metrics import accuracy, confidence_gap, ece
from moodspace.classifier.quality_effect import QualityEffect, faults
from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.views import BLEND
from moodspace.embeddings.crops import crop_faces
from moodspace.embeddings.data.labelled import LabelledFaces
from moodspace.embeddings.data.readers import read_labelled_faces
from moodspace.embeddings.detection.quality import FaceQuality, assess_crops_alone, estimate_yaw
from moodspace.embeddings.encoder import Encoded, encode_all

FOLDS = 5
# The detector sees each crop enlarged and with a gray border, see `benchmarks/robustness/crop_geometry.py`.
_ENLARGEMENT, _PADDING = 4, 24
# Weights in the fit: of the log loss, of the squared factors, and of each scene that is no corruption or cover.
_LOG_LOSS, _RIDGE, _MAIN = 0.3, 0.02, 3.0
_DEGRADED = ("corruption: ", "cover: ")


@dataclass(frozen=True, slots=True, eq=False)
class Scene:
    """Faces of one kind.

    Attributes:
        name: Shown in the table; scenes of one name are scored together.
        faces: The faces.
        quality: Their quality.
        rows: `(n,)` int64, the row of each face in its data set; equal rows are the same person's picture.
    """

    name: str
    faces: LabelledFaces
    quality: FaceQuality
    rows: IntArray


def scenes(
    validation: LabelledFaces, everyday: LabelledFaces | None, *, limit: int | None = None, seed: int = 0
) -> Iterator[Scene]:
    """Make all scenes.

    Args:
        validation: Labelled faces that the bundle was neither trained nor indexed on.
        everyday: Such faces of everyday life, if any.
        limit: Number of validation faces for each corruption and cover; None for all.
        seed: Seed of the sample and of the degradations.
    """
    for name, faces in (("validation", validation), ("everyday", everyday)):
        if faces is None:
            continue
        yield Scene(name, faces, assess_crops_alone(faces.crops), np.arange(len(faces)))
        landmarks = find(faces.crops, _ENLARGEMENT, _PADDING)
        rows = np.flatnonzero(np.isfinite(landmarks).all(axis=(1, 2)))
        if len(rows):
            gray = np.repeat(faces.crops[rows][..., None], 3, axis=3)
            crops = np.concatenate([crop_faces(one, at[None]) for one, at in zip(gray, landmarks[rows], strict=True)])
            quality = replace(assess_crops_alone(crops), yaw=estimate_yaw(landmarks[rows]))
            yield Scene(f"{name}, detected", replace(faces.take(rows), crops=crops), quality, rows)
    rows = np.sort(np.random.default_rng(seed).permutation(len(validation))[:limit])
    sample = validation.take(rows)
    for change in CORRUPTIONS:
        crops = change.apply(sample.crops, seed)
        quality = assess_crops_alone(crops)
        if change.kind == "low resolution":
            quality = replace(quality, size=np.full(len(crops), float(change.severity.split()[0]), np.float32))
        yield Scene(_DEGRADED[0] + change.kind.split(",")[0], replace(sample, crops=crops), quality, rows)
    for name, cover in {**MOUTH, **WHOLE, **OTHERS}.items():
        crops = covered(sample.crops, cover, MEASURED_TEXTURES, seed)
        yield Scene(_DEGRADED[1] + name, replace(sample, crops=crops), assess_crops_alone(crops), rows)


@dataclass(frozen=True, slots=True, eq=False)
class Judged:
    """The predictions of a view for the faces of a scene that have a label.

    Attributes:
        scene: The scene's name.
        truth: The label set that the labels are from.
        proba: `(n, C)` float64, rows sum to 1.
        labels: `(n,)` int64 in [0, C).
        faults: `(n, 6)`, see `quality_effect.faults`.
        fold: `(n,)` int64, the fold of each face.
    """

    scene: str
    truth: str
    proba: DoubleArray
    labels: IntArray
    faults: DoubleArray
    fold: IntArray

    def to_json(self) -> dict[str, Any]:
        """Return the figures by name, in percent."""
        return {
            "scene": self.scene,
            "labels": self.truth,
            "n": len(self.labels),
            "accuracy_percent": round(100 * accuracy(self.proba.argmax(axis=1), self.labels), 2),
            "ece_percent": round(100 * ece(self.proba, self.labels), 2),
            "gap_points": round(100 * confidence_gap(self.proba, self.labels), 2),
        }


def judge(bundle: Bundle, view: str, made: Sequence[tuple[Scene, Encoded]]) -> list[Judged]:
    """Predict all scenes in one view, with each truth that it is scored against."""
    recognizer = Recognizer(bundle, view)
    truths = list(bundle.blend.shares) if view == BLEND and bundle.blend else [view]
    found = []
    for scene, encoded in made:
        proba = recognizer.predict_encoded(encoded, quality=scene.quality).proba.astype(np.float64)
        for truth in truths if scene.faces.votes is not None else truths[:1]:
            labels = match_truth(scene.faces, truth, recognizer.classes).labels
            known = labels >= 0
            fold = assign_folds(int(scene.rows.max()) + 1, FOLDS, 0)[scene.rows]
            named = truth if scene.faces.votes is not None else "own"
            own = faults(scene.quality)
            found.append(Judged(scene.name, named, proba[known], labels[known], own[known], fold[known]))
    return [_joined(list(group)) for _, group in groupby(sorted(found, key=_key), key=_key)]


def _key(judged: Judged) -> tuple[bool, str, str]:
    return judged.scene.startswith(_DEGRADED), judged.scene, judged.truth


def _joined(parts: list[Judged]) -> Judged:
    return replace(
        parts[0],
        proba=np.concatenate([part.proba for part in parts]),
        labels=np.concatenate([part.labels for part in parts]),
        faults=np.concatenate([part.faults for part in parts]),
        fold=np.concatenate([part.fold for part in parts]),
    )


def fit(judged: Sequence[Judged], *, overall: bool) -> QualityEffect:
    """Fit the factors that make the confidence equal to the accuracy in all scenes.

    Args:
        judged: Predictions without an effect of quality.
        overall: Whether to change the confidence of good faces too. A label set is calibrated to them already.
    """
    names = [field.name for field in fields(QualityEffect)]
    parts = [(np.log(np.maximum(one.proba, 1e-12)), one, one.proba.argmax(axis=1) == one.labels) for one in judged]

    def cost(factors: DoubleArray) -> float:
        total = 0.0
        for logs, one, right in parts:
            scaled = logs / np.exp(factors[0] + one.faults @ factors[1:])[:, None]
            scaled -= scaled.max(axis=1, keepdims=True)
            sums = np.exp(scaled).sum(axis=1)
            log_loss = np.mean(np.log(sums) - scaled[np.arange(len(sums)), one.labels])
            weight = 1.0 if one.scene.startswith(_DEGRADED) else _MAIN
            total += weight * (100 * (np.mean(1 / sums) - right.mean()) ** 2 + _LOG_LOSS * log_loss)
        return float(total / len(parts) + _RIDGE * (factors[1:] ** 2).sum())

    limits = {"overall": (-1.0, 1.0) if overall else (0.0, 0.0), "grainy": (0.0, 2.0) if overall else (0.0, 0.0)}
    bounds = [limits.get(name, (0.0, 2.0)) for name in names]
    found = minimize(cost, np.zeros(len(names)), bounds=bounds, method="L-BFGS-B").x
    return QualityEffect(**dict(zip(names, found.round(4).tolist(), strict=True)))


def cross_fit(judged: Sequence[Judged], *, overall: bool) -> list[Judged]:
    """Return the predictions where each face is judged by factors that were fitted to the faces of other folds."""
    out = [one.proba.copy() for one in judged]
    for fold in range(FOLDS):
        effect = fit([_take(one, one.fold != fold) for one in judged], overall=overall)
        factors = np.array(list(effect.to_json().values()))
        for one, proba in zip(judged, out, strict=True):
            rows = one.fold == fold
            temperature = np.exp(factors[0] + one.faults[rows] @ factors[1:])
            proba[rows] = sharpen(one.proba[rows], temperature[:, None])
    return [replace(one, proba=proba) for one, proba in zip(judged, out, strict=True)]


def _take(one: Judged, rows: BoolArray) -> Judged:
    return replace(one, proba=one.proba[rows], labels=one.labels[rows], faults=one.faults[rows], fold=one.fold[rows])


def table(view: str, judged: Sequence[Judged]) -> str:
    """Return the figures of a view as a Markdown table."""
    lines = [f"| `{view}` | labels | faces | accuracy | ECE | gap |", "|---|---|---|---|---|---|"]
    for row in (one.to_json() for one in judged):
        name, truth, n, *values = row.values()
        lines.append(f"| {name} | {truth} | {n} | " + " | ".join(f"{value:.1f}" for value in values) + " |")
    return "\n".join(lines)


def study(
    bundle: Bundle, made: Sequence[Scene], views: Sequence[str], *, fitting: bool
) -> tuple[dict[str, list[Judged]], dict[str, QualityEffect]]:
    """Judge the scenes in some views; with `fitting` cross-fitted, and the effect of quality for each view."""
    encoded = [(scene, encode_all(bundle.encoder, scene.faces.crops)) for scene in made]
    judged = {view: judge(replace(bundle, quality={}) if fitting else bundle, view, encoded) for view in views}
    if not fitting:
        return judged, {}
    effects = {view: fit(found, overall=view == BLEND) for view, found in judged.items()}
    return {view: cross_fit(found, overall=view == BLEND) for view, found in judged.items()}, effects


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the arguments, measure or fit, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="labelled validation faces")
    parser.add_argument("--split", help="split to read, if there are several")
    parser.add_argument("--everyday", type=Path, help="labelled faces of everyday life")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/fer2013"), help="bundle to measure")
    parser.add_argument("--labels", help="view; all of the bundle's if omitted")
    parser.add_argument("--limit", type=int, default=400, help="validation faces for each corruption and cover")
    parser.add_argument("--seed", type=int, default=0, help="seed of the sample and the degradations")
    parser.add_argument("--fit", action="store_true", help="fit the effect of quality and store it in the bundle")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    bundle = load_bundle(options.bundle)
    validation = read_labelled_faces(options.data, split=options.split)
    everyday = read_labelled_faces(options.everyday) if options.everyday else None
    made = list(scenes(validation, everyday, limit=options.limit, seed=options.seed))
    views = [options.labels] if options.labels else list(bundle.views)
    judged, effects = study(bundle, made, views, fitting=options.fit)
    if options.json:
        figures: Mapping[str, Any] = {view: [one.to_json() for one in found] for view, found in judged.items()}
        print(json.dumps({"bundle": str(options.bundle), "views": figures}, indent=2))
    else:
        print("\n\n".join(table(view, found) for view, found in judged.items()))
    if options.fit:
        update_bundle(options.bundle, quality={**bundle.quality, **effects}, made_from=bundle)


if __name__ == "__main__":
    main()
