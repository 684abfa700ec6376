"""Measure finished trainings side by side: the rows of the ablation table.

    python -m benchmarks ablation fer2013/ base.training softmax.training scratch.training [--json]

Each training's best weights embed the training faces as a gallery and read the validation faces, as they are and as
the mean over the face and its mirror image. Head, votes and ensemble are cross-fitted: no face is read by a calibration
that it was fitted to. Prints a Markdown table, a row as soon as it is measured, or one JSON document a row. Takes about
two minutes a training on two cores.
"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.classifier.bundle.build import FOLDS, labels_in
from moodspace.classifier.bundle.splits import read_training_faces
from moodspace.classifier.fitting import K_MAX, CalibrationData, cross_fit
from moodspace.embeddings.data.labelled import LabelledFaces
from moodspace.embeddings.encoder import EMBEDDING, Encoded
from moodspace.index.gallery import Gallery
from moodspace.index.search import GalleryIndex


@dataclass(frozen=True, slots=True)
class Row:
    """The accuracy of one training on the validation faces, in percent.

    Attributes:
        training: name of its folder.
        label_set: whose classes are predicted.
        flip: whether each face is read with its mirror image.
        head, knn, ensemble: cross-fitted accuracy.
        ece: of the ensemble.
    """

    training: str
    label_set: str
    flip: bool
    head: float
    knn: float
    ensemble: float
    ece: float


def rows(folder: Path, train: LabelledFaces, validation: LabelledFaces) -> Iterator[Row]:
    """Yield the rows of one training, without and with mirror images for each label set.

    Args:
        folder: a `.training` folder with at least one finished epoch.
        train: the faces it was trained on.
        validation: the faces to read.
    """
    from moodspace.embeddings.training.trained import load_encoder

    network = load_encoder(folder)
    classes = {
        name: tuple(names) for name, names in json.loads((folder / "training.json").read_text())["classes"].items()
    }

    def encode(crops: np.ndarray[Any, np.dtype[np.uint8]]) -> Encoded:
        out = {name: np.asarray(values) for name, values in network.predict(crops[..., None], 256, verbose=0).items()}
        return Encoded(out.pop(EMBEDDING), out)

    index = GalleryIndex(_gallery(encode(train.crops), labels_in(train, classes), classes, train), threads=2)
    plain, mirrored = encode(validation.crops), encode(validation.crops[:, :, ::-1])
    labels = labels_in(validation, classes)
    for flip, encoded in ((False, plain), (True, _mean(plain, mirrored))):
        neighbors = index.search(encoded.embeddings, K_MAX)
        for name in classes:
            found = cross_fit(CalibrationData.gather(encoded.logits[name], neighbors, labels[name], name), folds=FOLDS)
            head, knn, both = (100 * one.accuracy for one in (found.head, found.knn, found.ensemble))
            training = folder.name.removesuffix(".training")
            yield Row(training, name, flip, head, knn, both, 100 * found.ensemble.ece)


def _gallery(
    encoded: Encoded, labels: dict[str, Any], classes: dict[str, tuple[str, ...]], faces: LabelledFaces
) -> Gallery:
    ids, added = np.arange(len(faces), dtype=np.int64), np.zeros(len(faces))
    return Gallery(encoded.embeddings, ids, labels, classes, np.array(faces.sources, np.str_), added)


def _mean(one: Encoded, other: Encoded) -> Encoded:
    embeddings = one.embeddings + other.embeddings
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    logits = {name: np.float32(0.5) * (values + other.logits[name]) for name, values in one.logits.items()}
    return Encoded(embeddings, logits)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print the rows of the trainings named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path, help="a data set with the splits train and validation")
    parser.add_argument("trainings", type=Path, nargs="+", help=".training folders")
    parser.add_argument("--json", action="store_true", help="print one JSON document a row")
    options = parser.parse_args(arguments)
    faces = read_training_faces(options.data)
    train, validation = faces.train, faces.validation
    if not options.json:
        print("| training | label set | flips | head | k-NN | ensemble | ECE |\n|---|---|---|---|---|---|---|")
    for folder in options.trainings:
        for row in rows(folder, train, validation):
            if options.json:
                print(json.dumps(asdict(row)), flush=True)
                continue
            scores = " | ".join(f"{value:.2f}" for value in (row.head, row.knn, row.ensemble, row.ece))
            print(f"| {row.training} | `{row.label_set}` | {'yes' if row.flip else 'no'} | {scores} |", flush=True)


if __name__ == "__main__":
    main()
