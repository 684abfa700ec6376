"""From labelled faces to a bundle: train the network, export it, embed the gallery, calibrate, save.

`train_bundle` shows the way; the faces come from `splits.read_training_faces`. The training stays beside the bundle in
`<bundle>.training/`, where it can be resumed, distilled from and read. Keras is imported only when it is needed.
"""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.arrays import ByteArray
from moodspace.classifier.bundle.build import build_bundle, default_blend
from moodspace.embeddings.crops import DEFAULT_GEOMETRY
from moodspace.embeddings.data.labelled import DataError, LabelledFaces, content_hash, label_sets
from moodspace.embeddings.data.labels import VOTES_SET, Targets
from moodspace.embeddings.encoder import Progress
from moodspace.embeddings.training.backend import prepare_keras
from moodspace.embeddings.training.recipe import Recipe
from moodspace.embeddings.training.training_folder import CONFIG, WEIGHTS, describe_training, training_folder

# Largest differences of a probability between Keras and LiteRT that rounding explains. At half precision for every
# face; with 8 bits, where a few faces between two classes always move, for the mean over the faces.
_LARGEST_DIFFERENCE, _MEAN_INT8_DIFFERENCE = 0.02, 0.06
# Numbers of faces to compare the two networks on, and to find the ranges of an 8-bit network on.
_COMPARED_FACES, _INT8_FACES = 500, 500


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
    everyday: LabelledFaces | None = None,
    report: Callable[[int, dict[str, float]], None] | None = None,
    progress: Callable[[str], Progress | None] = lambda stage: None,
) -> dict[str, Any]:
    """Train a network and make a bundle of it.

    Args:
        path: The bundle's folder.
        train: Faces to learn from; they become the gallery.
        validation: Faces to choose the best epoch and to calibrate on.
        recipe: How to train.
        labels: Label sets to train a head for. The first is the default and makes the triplets.
        teachers: `.training` folders of finished trainings to distill from.
        merge: `.training` folders of finished trainings to merge into one network, instead of training.
        resume: Continue an interrupted training.
        finish: Stop training and make the bundle from the best weights so far.
        flip: Predict from the mean over a face and its mirror image, at twice the cost.
        int8: Export 8-bit weights and activations, for small devices. The gallery is embedded and the calibration
            fitted by that network. With `finish` this makes a second, smaller bundle of a copied training.
        keep_weights: Put the Keras weights into the bundle, to train on from.
        everyday: Labelled faces of everyday life to fit the default view to; never trained on.
        report: Called after each epoch with its number and its figures.
        progress: Called with the name of a later stage; returns the progress callback of that stage.

    Returns:
        The cross-fitted validation figures of each label set.

    Raises:
        TrainingError, DataError, ExportError, BundleError: What prevents the training, in one line.
    """
    prepare_keras()
    folder = training_folder(path)
    if (name := _name_of_labels([folder, *teachers, *merge])) is not None:
        train, validation = replace(train, name=name), replace(validation, name=name)
    targets, validation_targets = _targets(train, validation, labels)
    # Imported after all checks, because the import takes many seconds.
    from moodspace.embeddings.training.fit import FaceTargets, train_encoder
    from moodspace.embeddings.training.trained import merge_trainings

    if merge:
        merge_trainings(merge, folder, train.crops, data_hash=content_hash(train))
    elif not finish:
        train_encoder(
            FaceTargets(train.crops, targets),
            FaceTargets(validation.crops, validation_targets),
            recipe,
            folder,
            teachers=teachers,
            data_hash=content_hash(train),
            resume=resume,
            report=report,
        )

    description = describe_training(folder)
    classes = {name: tuple(names) for name, names in description["classes"].items()}
    with tempfile.TemporaryDirectory() as scratch:
        exported = Path(scratch) / "encoder.tflite"
        int8_faces = _draw(train, description.get("recipe", {}).get("seed", 0)) if int8 else None
        exporting = progress("export")
        difference = _export(folder, exported, classes, train.crops, validation.crops[:_COMPARED_FACES], int8_faces)
        if exporting is not None:
            exporting(1, 1)
        export = {"export_precision": "int8" if int8 else "float16", "export_difference": difference}
        return build_bundle(
            path,
            encoder=exported,
            classes=classes,
            train=train,
            validation=validation,
            geometry=DEFAULT_GEOMETRY,
            flip=flip,
            training=description | export,
            blend=default_blend(classes),
            weights=folder / WEIGHTS if keep_weights else None,
            everyday=everyday,
            progress=progress,
        )


def _name_of_labels(folders: Sequence[Path]) -> str | None:
    """Return the name that earlier trainings gave the labels, wherever the data is now; None if there is none."""
    for folder in folders:
        try:
            classes = json.loads((folder / CONFIG).read_text())["classes"]
        except (OSError, ValueError, KeyError):
            continue
        if len(names := [name for name in classes if name != VOTES_SET]) == 1:
            return str(names[0])
    return None


def _targets(
    train: LabelledFaces, validation: LabelledFaces, labels: Sequence[str]
) -> tuple[dict[str, Targets], dict[str, Targets]]:
    """Return the targets of both parts in the given label sets, by default in all that both offer."""
    offered = label_sets(train), label_sets(validation)
    wanted = labels or [name for name in offered[0] if name in offered[1]]
    return _choose(offered[0], wanted), _choose(offered[1], wanted)


def _choose(offered: Mapping[str, Targets], labels: Sequence[str]) -> dict[str, Targets]:
    for name in labels:
        if name not in offered:
            raise DataError(f"labels: expected some of {', '.join(offered)}, got {name!r}")
    return {name: offered[name] for name in labels or offered}


def _draw(faces: LabelledFaces, seed: int) -> ByteArray:
    rows = np.random.default_rng(seed).choice(len(faces), min(_INT8_FACES, len(faces)), replace=False)
    return faces.crops[np.sort(rows)]


def _export(
    folder: Path,
    exported: Path,
    classes: Mapping[str, tuple[str, ...]],
    train_crops: ByteArray,
    crops: ByteArray,
    int8_faces: ByteArray | None,
) -> float:
    """Export a training's best weights; return the largest difference of a probability from Keras on `crops`.

    The exported embedding is the features, whitened on `train_crops`.
    """
    from moodspace.embeddings.encoder import LiteRTEncoder
    from moodspace.embeddings.training.export import ExportError, differences, export_encoder
    from moodspace.embeddings.training.trained import load_encoder
    from moodspace.embeddings.training.whitened import whitened_encoder

    network = whitened_encoder(load_encoder(folder), train_crops)
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
