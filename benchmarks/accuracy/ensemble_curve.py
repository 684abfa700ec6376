"""Measure what the votes add to the head: accuracy, likelihood and calibration over alpha, over k, and of votes alone.

    python -m benchmarks ensemble_curve fer2013/validation.parquet --bundle bundles/fer2013
    python -m benchmarks ensemble_curve fer2013/validation.parquet --bundle bundles/fer2013 --json

For each label set of the bundle, as Markdown or one JSON document: the ensemble over alpha at the fitted tau and k, the
ensemble over k at the fitted tau and alpha, and the accuracy of the votes alone over k and tau. On the faces that the
calibration was fitted to, the fitted point is flattered by that; the cross-fitted figures in the manifest are not.
"""

import argparse
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from moodspace.classifier.bundle.build import labels_in
from moodspace.classifier.bundle.bundle import Bundle, load_bundle
from moodspace.classifier.calibration import Calibration
from moodspace.classifier.ensemble import vote
from moodspace.classifier.fitting import ALPHA_GRID, K_GRID, K_MAX, TAU_GRID, CalibrationData, calibration_scores
from moodspace.classifier.metrics import Scores, accuracy
from moodspace.embeddings.data.labelled import LabelledFaces
from moodspace.embeddings.data.readers import read_labelled_faces
from moodspace.embeddings.encoder import encode_all


@dataclass(frozen=True, slots=True)
class Curves:
    """The quality of one label set, with all but the named values as they were fitted.

    Attributes:
        label_set: Its name.
        faces: How many of them are labelled in it.
        fitted: The bundle's calibration.
        head: Scores of the head alone.
        knn: Scores of the votes alone.
        over_alpha: For each alpha the scores of the ensemble.
        over_k: For each k the scores of the ensemble.
        votes: For each k, then for each of `TAU_GRID`, the accuracy of the votes alone.
    """

    label_set: str
    faces: int
    fitted: Calibration
    head: Scores
    knn: Scores
    over_alpha: dict[float, Scores]
    over_k: dict[int, Scores]
    votes: dict[int, list[float]]

    def to_json(self) -> dict[str, Any]:
        """Return all of it as plain values."""
        return {
            "label_set": self.label_set,
            "faces": self.faces,
            "fitted": self.fitted.to_json(),
            "head": self.head.to_json(),
            "knn": self.knn.to_json(),
            "over_alpha": [{"alpha": alpha, **scores.to_json()} for alpha, scores in self.over_alpha.items()],
            "over_k": [{"k": k, **scores.to_json()} for k, scores in self.over_k.items()],
            "votes": {"tau": TAU_GRID.tolist(), "accuracy_by_k": self.votes},
        }


def gather(bundle: Bundle, faces: LabelledFaces) -> dict[str, CalibrationData]:
    """Return, for each label set, the outputs of head and gallery for the faces that have a label in it.

    Args:
        bundle: What is measured.
        faces: Labelled faces that it was neither trained on nor has in its gallery.
    """
    labels = labels_in(faces, bundle.classes)
    encoded = encode_all(bundle.encoder, faces.crops)
    neighbors = bundle.index.search(encoded.embeddings, K_MAX)
    return {
        name: CalibrationData.gather(encoded.logits[name], neighbors, labels[name], name)
        for name in bundle.classes
        if (labels[name] >= 0).any()
    }


def measure(label_set: str, evidence: CalibrationData, fitted: Calibration) -> Curves:
    """Measure every point of the curves.

    Args:
        label_set: Its name.
        evidence: What head and gallery say about the faces.
        fitted: The values that stay as they are.
    """

    def ensemble(calibration: Calibration) -> Scores:
        return Scores.of(calibration_scores(evidence, calibration).ensemble, evidence.labels)

    def votes_right(k: int, tau: float) -> float:
        proba = vote(evidence.similarities, evidence.neighbor_labels, evidence.logits.shape[1], tau=tau, k=k).proba
        return accuracy(proba.argmax(axis=1), evidence.labels)

    alone = calibration_scores(evidence, fitted)
    return Curves(
        label_set=label_set,
        faces=len(evidence),
        fitted=fitted,
        head=Scores.of(alone.head, evidence.labels),
        knn=Scores.of(alone.knn, evidence.labels),
        over_alpha={alpha: ensemble(replace(fitted, alpha=alpha)) for alpha in map(float, ALPHA_GRID.round(2))},
        over_k={k: ensemble(replace(fitted, k=k)) for k in K_GRID},
        votes={k: [votes_right(k, float(tau)) for tau in TAU_GRID] for k in K_GRID},
    )


def describe(curves: Curves) -> str:
    """Return the curves of one label set as Markdown."""
    fitted = curves.fitted
    alpha, tau, k = f"alpha {fitted.alpha:.2f}", f"tau {fitted.tau:.3f}", f"k {fitted.k}"
    title = f"### `{curves.label_set}`, {curves.faces:,} faces; fitted: {alpha}, {tau}, {k}"
    scores = ["accuracy", "macro-F1", "ECE", "NLL (nats)"]
    witnesses = [["head alone", *_cells(curves.head)], ["votes alone", *_cells(curves.knn)]]
    over_alpha = [[f"{at:.2f}", *_cells(found)] for at, found in curves.over_alpha.items()]
    over_k = [[str(at), *_cells(found)] for at, found in curves.over_k.items()]
    votes = [[str(at), *(f"{100 * value:.2f}" for value in row)] for at, row in curves.votes.items()]
    return "\n\n".join(
        [
            title,
            f"Ensemble over alpha, at {tau} and {k}:\n\n" + _table(["alpha", *scores], witnesses + over_alpha),
            f"Ensemble over k, at {tau} and {alpha}:\n\n" + _table(["k", *scores], over_k),
            "Accuracy of the votes alone:\n\n" + _table(["k \\ tau", *(f"{value:.3f}" for value in TAU_GRID)], votes),
        ]
    )


def _cells(scores: Scores) -> list[str]:
    percent = (scores.accuracy, scores.macro_f1, scores.ece)
    return [*(f"{100 * value:.2f}" for value in percent), f"{scores.nll:.4f}"]


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    return "\n".join(f"| {' | '.join(row)} |" for row in (head, ["---"] * len(head), *rows))


def main() -> None:
    """Read the arguments, measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="labelled faces, in any layout that the project reads")
    parser.add_argument("--split", help="which split, where the data has several")
    parser.add_argument("--bundle", type=Path, required=True, help="the bundle to measure")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    arguments = parser.parse_args()
    bundle = load_bundle(arguments.bundle)
    found = gather(bundle, read_labelled_faces(arguments.data, split=arguments.split))
    curves = [measure(name, evidence, bundle.calibrations[name]) for name, evidence in found.items()]
    if arguments.json:
        print(json.dumps([of_one_set.to_json() for of_one_set in curves], indent=2))
    else:
        print("\n\n".join(map(describe, curves)))


if __name__ == "__main__":
    main()
