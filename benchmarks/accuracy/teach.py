"""Measure what teaching a few faces does: to the new class, to the others, and to near copies of a taught face.

    python -m benchmarks teach fer2013/validation.parquet --examples-from fer2013/train.parquet
    python -m benchmarks teach fer2013/validation.parquet --examples-from fer2013/train.parquet --labels fer2013 --json

A new class: faces that most of FER+'s voters called contempt, which FER2013's labels do not have, and drawn faces. Its
examples are taught at random, several times over; recall and precision are of the faces not taught, the change of
accuracy of the validation faces that are not of the class. (Contempt among the training faces was seen by the network,
whose FER+ head has that class; contempt in validation was not.) Old classes: validation faces are taught with their own
labels, the others are judged. Near copies: each of some validation faces is taught, alone, as something that nobody
ever named; a copy wins where it is recognised as that. Each trial goes through a gallery on the disk.
"""

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import FloatArray, IntArray
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.evaluation import match_truth
from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.taught_scores import perturbations
from moodspace.embeddings.data.labelled import LabelledFaces
from moodspace.embeddings.data.labels import VOTE_COLUMNS
from moodspace.embeddings.data.readers import read_labelled_faces
from moodspace.embeddings.encoder import Encoded, encode_all
from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.gallery import open_taught
from moodspace.index.taught.search import TaughtIndex
from tests.drawn_faces import drawn_faces

NEW = "contempt"
_TRIALS = 10
_DRAWN = 200


@dataclass(frozen=True, slots=True)
class Fixed:
    """A gallery that stays as it is."""

    index: TaughtIndex

    def current(self) -> TaughtIndex:
        """Return it."""
        return self.index


class Teacher:
    """Judges faces with a bundle that was taught others just before.

    Args:
        recognizer: Without taught faces.
        trials: How many draws of examples a figure is the mean of; 10 when None.
    """

    def __init__(self, recognizer: Recognizer, trials: int | None = None) -> None:
        self.recognizer = recognizer
        self.trials = _TRIALS if trials is None else trials

    def predict_encoded(
        self, taught: FloatArray, labels: Sequence[str], asked: Sequence[Encoded]
    ) -> list[npt.NDArray[np.str_]]:
        """Teaches embeddings `(n, d)` their labels; returns for each of `asked` the names of what is recognised."""
        bundle, view = self.recognizer.bundle, self.recognizer.label_set
        unnamed = [""] * len(taught)
        with (
            tempfile.TemporaryDirectory() as folder,
            open_taught(Path(folder), encoder="benchmark", dim=bundle.encoder.dim) as gallery,
        ):
            gallery.add(NewFaces(taught, labels, ["benchmark"] * len(taught), unnamed))
            predictions = [Recognizer(bundle, view, Fixed(gallery.snapshot())).predict_encoded(one) for one in asked]
        return [np.array(one.classes)[one.labels] for one in predictions]


def new_class(
    teacher: Teacher, name: str, pool: Encoded, unseen: Encoded, others: Encoded, truth: npt.NDArray[np.str_], n: int
) -> dict[str, float]:
    """Teaches n faces of a new class and looks at the rest; means over some draws.

    Args:
        teacher: What is taught.
        name: The class.
        pool: Faces of it, to draw the examples from; those that are left are judged.
        unseen: More faces of it, to be judged.
        others: Faces of other classes.
        truth: What those show.
        n: How many examples.
    """
    plain = teacher.recognizer.predict_encoded(others)
    before = np.array(plain.classes)[plain.labels] == truth
    rows = []
    for seed in range(teacher.trials):
        order = np.random.default_rng(seed).permutation(len(pool))
        left = pool.take(order[n:])
        found = teacher.predict_encoded(pool.embeddings[order[:n]], [name] * n, [left, unseen, others])
        own, fresh, wrong = (names == name for names in found)
        hits = own.sum() + fresh.sum()
        rows.append(
            {
                "recall": hits / (len(own) + len(fresh)),
                "recall_unseen": fresh.mean() if len(fresh) else np.nan,
                "precision": hits / max(hits + wrong.sum(), 1),
                "claimed_of_others": wrong.mean(),
                "accuracy_change": (found[2] == truth).mean() - before.mean(),
            }
        )
    return {key: float(np.mean([row[key] for row in rows])) for key in rows[0]}


def old_classes(teacher: Teacher, faces: Encoded, truth: npt.NDArray[np.str_], n: int) -> float:
    """Teaches n faces their own labels; returns how the accuracy on the others changes, the mean over some draws."""
    changes = []
    for seed in range(teacher.trials):
        order = np.random.default_rng(seed).permutation(len(faces))
        rest, names = faces.take(order[n:]), truth[order[n:]]
        plain = teacher.recognizer.predict_encoded(rest)
        (found,) = teacher.predict_encoded(faces.embeddings[order[:n]], list(truth[order[:n]]), [rest])
        changes.append((found == names).mean() - (np.array(plain.classes)[plain.labels] == names).mean())
    return float(np.mean(changes))


def copies_won(teacher: Teacher, crops: npt.NDArray[np.uint8]) -> dict[str, float]:
    """Return the share of near copies, by kind, that a single taught face wins."""
    encoder = teacher.recognizer.bundle.encoder
    faces = encode_all(encoder, crops)
    kinds = {kind: encode_all(encoder, copies) for kind, copies in perturbations(crops).items()}
    won = []
    for row in range(len(faces)):
        asked = [copies.take(slice(row, row + 1)) for copies in kinds.values()]
        found = teacher.predict_encoded(faces.embeddings[[row]], ["never named"], asked)
        won.append([names[0] == "never named" for names in found])
    shares = np.mean(won, axis=0)
    return {kind: float(share) for kind, share in zip(kinds, shares, strict=True)} | {"all": float(shares.mean())}


def of_class(faces: LabelledFaces, name: str) -> IntArray:
    """Return the rows of the faces that most voters called `name`."""
    if faces.votes is None:
        raise SystemExit("data: expected faces with FER+ votes, received none; name such a parquet")
    column = VOTE_COLUMNS.index(name)
    others = np.delete(faces.votes, column, axis=1).max(axis=1)
    return np.flatnonzero(faces.votes[:, column] > others)


def study(
    recognizer: Recognizer, validation: LabelledFaces, pool: LabelledFaces, faces: int, trials: int | None = None
) -> dict[str, Any]:
    """Return all figures.

    Args:
        recognizer: Of the bundle and view to teach.
        validation: To be judged.
        pool: Where the new class's examples come from.
        faces: How many faces are taught alone, for their near copies.
        trials: How many draws of examples a figure is the mean of; 10 when None.
    """
    teacher, encoder = Teacher(recognizer, trials), recognizer.bundle.encoder
    encoded = encode_all(encoder, validation.crops)
    labels = match_truth(validation, recognizer.label_set, recognizer.classes).labels
    unseen, known = of_class(validation, NEW), labels >= 0
    known[unseen] = False
    truth = np.array(recognizer.classes)[labels[known]]
    others = encoded.take(np.flatnonzero(known))
    contempt = encode_all(encoder, pool.crops[of_class(pool, NEW)])
    drawn = encode_all(encoder, drawn_faces(_DRAWN, 0).crops)
    nobody = encoded.take(np.array([], np.int64))
    found: dict[str, Any] = {"view": recognizer.label_set, "bundle": str(recognizer.bundle.path)}
    for name, examples, fresh in ((NEW, contempt, encoded.take(unseen)), ("drawn", drawn, nobody)):
        if name in recognizer.classes:
            continue
        sizes = [n for n in (1, 5, 10, 20, 80) if n < len(examples)]
        found[name] = {
            "faces": len(examples),
            "unseen": len(fresh),
            "taught": {n: new_class(teacher, name, examples, fresh, others, truth, n) for n in sizes},
        }
    sizes = [n for n in (20, 100, 500, 2000) if n < len(others)]
    found["old_classes"] = {n: old_classes(teacher, others, truth, n) for n in sizes}
    rows = np.random.default_rng(0).permutation(len(validation))[:faces]
    found["near_copies"] = copies_won(teacher, validation.crops[np.sort(rows)])
    return found


def table(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [f"View `{found['view']}`; shares in %, changes in points.\n"]
    heads = "| new class | taught | recall | recall, unseen faces | precision | claimed of others | accuracy |"
    lines += [heads, "|---|---|---|---|---|---|---|"]
    for name in (name for name in (NEW, "drawn") if name in found):
        for n, row in found[name]["taught"].items():
            fresh = "" if np.isnan(row["recall_unseen"]) else f"{100 * row['recall_unseen']:.1f}"
            lines.append(
                f"| {name} | {n} | {100 * row['recall']:.1f} | {fresh} | {100 * row['precision']:.1f} | "
                f"{100 * row['claimed_of_others']:.2f} | {100 * row['accuracy_change']:+.2f} |"
            )
    lines += ["", "| old classes, taught | accuracy of the others |", "|---|---|"]
    lines += [f"| {n} | {100 * change:+.2f} |" for n, change in found["old_classes"].items()]
    lines += ["", "| near copies | won |", "|---|---|"]
    lines += [f"| {kind} | {100 * share:.1f} |" for kind, share in found["near_copies"].items()]
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the figures."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="validation faces with FER+ votes")
    parser.add_argument("--examples-from", type=Path, required=True, help="faces with FER+ votes to draw examples from")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/fer2013"))
    parser.add_argument("--labels", help="view; the bundle's default when missing")
    parser.add_argument("--faces", type=int, default=300, help="how many are taught alone, for their near copies")
    parser.add_argument("--trials", type=int, default=_TRIALS, help="draws of examples that a figure is the mean of")
    parser.add_argument("--json", action="store_true", help="print one JSON document")
    options = parser.parse_args(arguments)
    recognizer = Recognizer(load_bundle(options.bundle), options.labels)
    validation, pool = read_labelled_faces(options.data), read_labelled_faces(options.examples_from)
    found = study(recognizer, validation, pool, options.faces, options.trials)
    print(json.dumps(found) if options.json else table(found))


if __name__ == "__main__":
    main()
