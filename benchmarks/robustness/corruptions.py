"""Measure the accuracy of a bundle on labelled faces under the corruptions of a webcam.

    python -m benchmarks corruptions fer2013/validation.parquet --bundle bundles/fer2013
    python -m benchmarks corruptions fer2013/validation.parquet --bundle bundles/fer2013 --labels ferplus --json

Every face goes through every corruption of `webcam.py`, seeded, and `classifier.evaluation` scores the ensemble as
`cli.py evaluate` does. The mean is over the kinds of corruption, each kind's figure being the mean over its
severities. Prints a Markdown table, a row as soon as it is measured, or one JSON document.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.robustness.webcam import CORRUPTIONS, Corruption
from moodspace.classifier.bundle.bundle import Bundle, load_bundle
from moodspace.classifier.evaluation import evaluate
from moodspace.embeddings.data.labelled import LabelledFaces
from moodspace.embeddings.data.readers import read_labelled_faces
from moodspace.embeddings.encoder import encode_all


@dataclass(frozen=True, slots=True)
class Reading:
    """The accuracy of the ensemble under one corruption.

    Attributes:
        kind, severity: Which corruption; "clean" and "" for the faces as they are.
        accuracy: For each label set the share of faces that are right.
        ece: For each label set the expected calibration error.
    """

    kind: str
    severity: str
    accuracy: dict[str, float]
    ece: dict[str, float]


def measure(
    bundle: Bundle,
    faces: LabelledFaces,
    label_sets: Sequence[str],
    *,
    corruptions: Sequence[Corruption] = CORRUPTIONS,
    seed: int = 0,
) -> Iterator[Reading]:
    """Yield the reading on the faces as they are, then one for each corruption.

    Args:
        bundle: What is read; it must neither be trained nor indexed on these faces.
        faces: Labelled faces.
        label_sets: The bundle's label sets to score.
        corruptions: What is done to the faces; those of one kind next to one another.
        seed: Of all draws. All corruptions make the same draws, so that severities of one kind differ in nothing else.

    Raises:
        ValueError: A label set that the bundle or the faces do not have.
    """
    yield _read(bundle, faces, label_sets, "clean", "")
    for corruption in corruptions:
        changed = replace(faces, crops=corruption.apply(faces.crops, seed))
        yield _read(bundle, changed, label_sets, corruption.kind, corruption.severity)


def _read(bundle: Bundle, faces: LabelledFaces, label_sets: Sequence[str], kind: str, severity: str) -> Reading:
    encoded = encode_all(bundle.encoder, faces.crops)
    scores = {name: evaluate(bundle, faces, name, encoded=encoded).ensemble for name in label_sets}
    return Reading(
        kind,
        severity,
        {name: float(found.accuracy) for name, found in scores.items()},
        {name: float(found.ece) for name, found in scores.items()},
    )


def mean_over_kinds(readings: Sequence[Reading]) -> Reading:
    """Return the mean over kinds of the mean over severities; `readings` are corrupted ones, kinds together."""
    kinds = [list(group) for _, group in groupby(readings, key=lambda reading: reading.kind)]

    def mean(score: str) -> dict[str, float]:
        names = getattr(readings[0], score)
        return {name: float(np.mean([np.mean([getattr(r, score)[name] for r in kind]) for kind in kinds]))
                for name in names}  # fmt: skip

    return Reading("mean over kinds", "", mean("accuracy"), mean("ece"))


def table_head(label_sets: Sequence[str]) -> str:
    """Return the first two lines of the table."""
    columns = [part for name in label_sets for part in (f"`{name}`", "drop")]
    return f"| corruption | severity | {' | '.join(columns)} |\n|---|---|{'---|' * len(columns)}"


def table_row(reading: Reading, clean: Reading) -> str:
    """Return a row of the table: accuracy in percent and points lost against the clean faces."""
    cells = [reading.kind, reading.severity]
    for name, accuracy in reading.accuracy.items():
        drop = "" if reading is clean else f"{100 * (clean.accuracy[name] - accuracy):.1f}"
        cells += [f"{100 * accuracy:.1f}", drop]
    return f"| {' | '.join(cells)} |"


def to_json(reading: Reading, clean: Reading) -> dict[str, Any]:
    """Return a reading as plain values, percentages rounded to two places."""

    def percent(values: dict[str, float]) -> dict[str, float]:
        return {name: round(100 * value, 2) for name, value in values.items()}

    drops = {name: clean.accuracy[name] - accuracy for name, accuracy in reading.accuracy.items()}
    return {
        "kind": reading.kind,
        "severity": reading.severity,
        "accuracy_percent": percent(reading.accuracy),
        "drop_points": percent(drops),
        "ece_percent": percent(reading.ece),
    }


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="labelled faces, in any layout that the project reads")
    parser.add_argument("--split", help="which split, where the data has several")
    parser.add_argument("--bundle", type=Path, required=True, help="the bundle to read")
    parser.add_argument("--labels", help="one label set; all of the bundle's when left out")
    parser.add_argument("--limit", type=int, help="read only so many faces, drawn at random")
    parser.add_argument("--seed", type=int, default=0, help="seed of the draw and of all corruptions")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    faces = read_labelled_faces(arguments.data, split=arguments.split)
    if arguments.limit is not None and arguments.limit < len(faces):
        rows = np.random.default_rng(arguments.seed).choice(len(faces), arguments.limit, replace=False)
        faces = faces.take(np.sort(rows))
    label_sets = [arguments.labels] if arguments.labels else list(bundle.views)
    readings: list[Reading] = []
    for reading in measure(bundle, faces, label_sets, seed=arguments.seed):
        readings.append(reading)
        if not arguments.json:
            start = f"{len(faces)} faces\n\n{table_head(label_sets)}\n" if len(readings) == 1 else ""
            print(start + table_row(reading, readings[0]), flush=True)
    clean, mean = readings[0], mean_over_kinds(readings[1:])
    if arguments.json:
        rows_json = [to_json(reading, clean) for reading in (*readings, mean)]
        print(json.dumps({"bundle": str(arguments.bundle), "faces": len(faces), "seed": arguments.seed,
                          "readings": rows_json}, indent=2))  # fmt: skip
    else:
        print(table_row(mean, clean))


if __name__ == "__main__":
    main()
