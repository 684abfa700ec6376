"""Fit the crop geometry: where the detector finds the landmarks of a face in FER2013's own 48x48 images.

    python -m benchmarks crop_geometry fer2013/train.parquet
    python -m benchmarks crop_geometry fer2013/validation.parquet --bundle bundles/fer2013

Prints one JSON document: for each enlargement and padding the number of faces found; the template, fitted where most
are found; and, with `--bundle`, how much accuracy is left when the same faces go through detector and crop.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from moodspace.arrays import ByteArray, FloatArray
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.crops import SIZE, CropGeometry, crop_faces
from moodspace.embeddings.data.labelled import LabelledFaces
from moodspace.embeddings.data.readers import read_labelled_faces
from moodspace.embeddings.detection.detectors import CenterFace

ENLARGEMENTS = (2, 3, 4)
PADDINGS = (0, 24)


def find(crops: ByteArray, enlargement: int, padding: int) -> FloatArray:
    """Find the most confident face in each crop.

    Args:
        crops: `(n, 48, 48)` uint8, grey.
        enlargement: How many times each is enlarged for the detector.
        padding: Pixels of mid-grey laid around each before that.

    Returns:
        `(n, 5, 2)` float32 landmarks in pixels of the crop; NaN where no face is found.
    """
    side = (SIZE + 2 * padding) * enlargement
    detector = CenterFace(working_sizes=(side,))
    landmarks = np.full((len(crops), 5, 2), np.nan, np.float32)
    for row, crop in enumerate(crops):
        padded = cv2.copyMakeBorder(crop, padding, padding, padding, padding, cv2.BORDER_CONSTANT, value=128)
        large = cv2.resize(padded, (side, side), interpolation=cv2.INTER_CUBIC)
        faces = detector.detect(cv2.cvtColor(large, cv2.COLOR_GRAY2BGR))
        if len(faces):
            landmarks[row] = (faces.landmarks[0] + 0.5) / enlargement - 0.5 - padding
    return landmarks


def fit(landmarks: FloatArray) -> CropGeometry:
    """Return the geometry with the median place of each landmark; `landmarks` is `(n, 5, 2)` without NaN."""
    return CropGeometry(np.median(landmarks, axis=0).round(1).astype(np.float32))


def compare(path: Path, faces: LabelledFaces, landmarks: FloatArray) -> dict[str, Any]:
    """Return the accuracy of a bundle on faces as they are and on the same faces cropped again.

    Args:
        path: The bundle.
        faces: n labelled faces.
        landmarks: `(n, 5, 2)` float32 without NaN, pixels of the crops.
    """
    bundle = load_bundle(path)
    recognizer = Recognizer(bundle)
    bgr = np.repeat(faces.crops[..., None], 3, axis=3)
    again = np.concatenate(
        [crop_faces(frame, points[None], bundle.geometry) for frame, points in zip(bgr, landmarks, strict=True)]
    )
    truth = np.array(faces.classes)[faces.labels]
    names = np.array(recognizer.classes)
    straight, cropped = (names[recognizer.predict(crops).labels] for crops in (faces.crops, again))
    return {
        "labels": recognizer.label_set,
        "faces": len(faces),
        "straight_in_percent": round(100 * float((straight == truth).mean()), 2),
        "detected_and_cropped_percent": round(100 * float((cropped == truth).mean()), 2),
        "agreement_percent": round(100 * float((straight == cropped).mean()), 2),
    }


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="labelled faces, in any layout that the project reads")
    parser.add_argument("--split", help="which split, where the data has several")
    parser.add_argument("--count", type=int, default=2000, help="how many faces to draw")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw")
    parser.add_argument("--bundle", type=Path, help="a bundle to compare the two ways in with")
    arguments = parser.parse_args()
    faces = read_labelled_faces(arguments.data, split=arguments.split)
    drawn = np.random.default_rng(arguments.seed).choice(len(faces), min(arguments.count, len(faces)), replace=False)
    faces = faces.take(np.sort(drawn))
    tries = {(scale, pad): find(faces.crops, scale, pad) for scale in ENLARGEMENTS for pad in PADDINGS}
    counts = {key: int(np.isfinite(landmarks).all(axis=(1, 2)).sum()) for key, landmarks in tries.items()}
    best = max(counts, key=lambda key: counts[key])
    found = np.isfinite(tries[best]).all(axis=(1, 2))
    if not found.any():
        raise SystemExit(f"{arguments.data}: expected faces that the detector finds, got none among {len(faces)}")
    document: dict[str, Any] = {
        "drawn": len(faces),
        "found": [{"enlargement": scale, "padding": pad, "faces": n} for (scale, pad), n in counts.items()],
        "fitted_at": {"enlargement": best[0], "padding": best[1]},
        "geometry": fit(tries[best][found]).to_json(),
    }
    if arguments.bundle:
        document["accuracy"] = compare(arguments.bundle, faces.take(np.flatnonzero(found)), tries[best][found])
    print(json.dumps(document, indent=2))


if __name__ == "__main__":
    main()
