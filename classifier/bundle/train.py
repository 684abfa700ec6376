"""One course from labelled faces to a bundle: train the network, export it, index, calibrate.

What the training leaves behind stays beside the bundle, in `<bundle>.training/`, so that it can be resumed, distilled
from and read. Keras is imported only when it is needed.
"""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.classifier.bundle.build import build_bundle
from moodspace.embeddings.crops import DEFAULT_GEOMETRY
from moodspace.embeddings.data.labelled import DataError, LabelledFaces, content_hash, label_sets
from moodspace.embeddings.data.labels import Targets
from moodspace.embeddings.encoder import Progress
from moodspace.embeddings.training.backend import prepare_keras
from moodspace.embeddings.training.log import LOG, read_log
from moodspace.embeddings.training.recipe import Recipe

WEIGHTS = "best.weights.h5"
# Of a probability, between Keras and LiteRT: beyond this something is wrong, not rounded. At half precision for any
# face; with 8 bits, where a few faces between two classes always move, the mean over the faces.
_LARGEST_DIFFERENCE, _MEAN_INT8_DIFFERENCE = 0.02, 0.06
_INT8_FACES = 500


def training_folder(bundle: Path) -> Path:
    """Returns where the training of a bundle keeps its weights, log and checkpoint."""
    return bundle.with_name(bundle.name + ".training")


def describe_training(folder: Path) -> dict[str, Any]:
    """Returns a training's recipe, label sets and data hash, and how many epochs it had and which was the best.

    Args:
        folder: what `training_folder` names, with at least one epoch done. Merged trainings stand
            under "members", without epochs of their own.
    """
    described = json.loads((folder / "training.json").read_text())
    if "members" in described:
        return described
    accuracies = [row["val_accuracy"] for row in read_log(folder / LOG)]
    return described | {"epochs": len(accuracies), "best_epoch": 1 + int(np.argmax(accuracies))}


def choose_targets(faces: LabelledFaces, labels: Sequence[str]) -> dict[str, Targets]:
    """Returns the targets of the label sets that are asked for, in that order; all that the data offer when none is.

    Raises:
        DataError: the data do not offer one.
    """
    offered = label_sets(faces)
    for name in labels:
        if name not in offered:
            raise DataError(f"labels: expected some of {', '.join(offered)}, got {name!r}")
    return {name: offered[name] for name in labels or offered}


def train_bundle(
    path: Path,
    train: LabelledFaces,
    validation: LabelledFaces,
    recipe: Recipe,
    *,
    labels: Sequence[str] = (),
    teachers: Sequence[Path] = (),
    merge: Sequence[Path] = (),
    resume: bool = False,
    finish: bool = False,
    flip: bool = True,
    int8: bool = False,
    keep_weights: bool = True,
    report: Callable[[int, dict[str, float]], None] | None = None,
    progress: Callable[[str], Progress | None] = lambda stage: None,
) -> dict[str, Any]:
    """Trains a network and makes a bundle of it.

    Args:
        path: the bundle's folder.
        train: faces to learn from; they become the gallery.
        validation: faces to choose the best epoch and to calibrate on.
        recipe: how to train.
        labels: label sets to train a head for; the first is the default and makes the triplets.
        teachers: `.training` folders of finished trainings to distil from.
        merge: `.training` folders of finished trainings to make one network of, in place of a training.
        resume: go on with an interrupted training.
        finish: train no further: make the bundle of the best weights so far.
        flip: predict from the mean over a face and its mirror image, at twice the cost.
        int8: export with 8-bit weights and sums, for small devices; the gallery is embedded and the calibration fitted
            by that network. With `finish` this makes a second, smaller bundle of a copied training.
        keep_weights: put the Keras weights into the bundle, to train on from.
        report: called after each epoch with its number and its figures.
        progress: called with a later stage's name, returns what is called as the stage goes on.

    Returns:
        The cross-fitted validation figures for each label set.

    Raises:
        TrainingError, DataError, ExportError, BundleError: what stands in the way, in one line.
    """
    folder = training_folder(path)
    prepare_keras()
    name = _name_before([folder, *teachers, *merge])
    if name is not None:
        train, validation = replace(train, name=name), replace(validation, name=name)
    shared = [name for name in label_sets(train) if name in label_sets(validation)]
    sets = choose_targets(train, labels or shared), choose_targets(validation, labels or shared)
    # After what may be refused, because it takes many seconds.
    from moodspace.embeddings.training.fit import FaceTargets, train_encoder
    from moodspace.embeddings.training.trained import merge_trainings

    data_hash = content_hash(train)
    if merge:
        merge_trainings(merge, folder, train.crops, data_hash=data_hash)
    elif not finish:
        train_encoder(
            FaceTargets(train.crops, sets[0]),
            FaceTargets(validation.crops, sets[1]),
            recipe,
            folder,
            teachers=teachers,
            data_hash=data_hash,
            resume=resume,
            report=report,
        )
    return _finish(path, folder, train, validation, flip, int8, keep_weights, progress)


def _name_before(folders: Sequence[Path]) -> str | None:
    """Returns what trainings that are gone on with call the labels, wherever the data lie now; None where none does."""
    for folder in folders:
        try:
            classes = json.loads((folder / "training.json").read_text())["classes"]
        except (OSError, ValueError, KeyError):
            continue
        if len(names := [name for name in classes if name != "ferplus"]) == 1:
            return str(names[0])
    return None


def _finish(
    path: Path,
    folder: Path,
    train: LabelledFaces,
    validation: LabelledFaces,
    flip: bool,
    int8: bool,
    keep_weights: bool,
    progress: Callable[[str], Progress | None],
) -> dict[str, Any]:
    description = describe_training(folder)
    classes = {name: tuple(names) for name, names in description["classes"].items()}
    with tempfile.TemporaryDirectory() as scratch:
        exported = Path(scratch) / "encoder.tflite"
        ranges = _draw(train, description.get("recipe", {}).get("seed", 0)) if int8 else None
        exporting = progress("export")
        difference = _export(folder, exported, classes, validation.crops[:500], ranges)
        if exporting is not None:
            exporting(1, 1)
        return build_bundle(
            path,
            encoder=exported,
            classes=classes,
            train=train,
            validation=validation,
            geometry=DEFAULT_GEOMETRY,
            flip=flip,
            training=description | {"export_precision": "int8" if int8 else "float16", "export_difference": difference},
            weights=folder / WEIGHTS if keep_weights else None,
            progress=progress,
        )


def _draw(faces: LabelledFaces, seed: int) -> npt.NDArray[np.uint8]:
    rows = np.random.default_rng(seed).choice(len(faces), min(_INT8_FACES, len(faces)), replace=False)
    return faces.crops[np.sort(rows)]


def _export(
    folder: Path,
    exported: Path,
    classes: Mapping[str, tuple[str, ...]],
    crops: npt.NDArray[np.uint8],
    int8_faces: npt.NDArray[np.uint8] | None,
) -> float:
    """Exports a training's best weights; returns the largest difference of a probability from Keras on `crops`."""
    from moodspace.embeddings.encoder import LiteRTEncoder
    from moodspace.embeddings.training.export import ExportError, differences, export_encoder
    from moodspace.embeddings.training.trained import load_encoder

    network = load_encoder(folder)
    export_encoder(network, exported, int8_faces=int8_faces)
    apart = differences(network, LiteRTEncoder(exported, classes, flip=False), crops)
    mean, largest = float(apart.mean()), float(apart.max())
    if int8_faces is None and largest > _LARGEST_DIFFERENCE:
        raise ExportError(f"export: expected Keras and LiteRT to agree, got probabilities {largest:.3f} apart")
    if int8_faces is not None and mean > _MEAN_INT8_DIFFERENCE:
        raise ExportError(
            f"export: expected 8 bits to be enough for this network, got probabilities {mean:.3f} apart on average; "
            "export without --int8"
        )
    return largest
