"""From an exported network and labelled faces to a gallery, calibrations and a bundle."""

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from classifier.batches import Progress, encode_all
from classifier.bundle import save_bundle
from classifier.calibration import Calibration
from classifier.crossfit import cross_fit
from classifier.fitting import K_MAX, Evidence, fit_calibration
from classifier.truth import match_truth
from embeddings.crops import CropGeometry
from embeddings.encoder import Encoder, LiteRTEncoder
from embeddings.labelled import DataError, LabelledFaces
from index.gallery import Gallery
from index.search import GalleryIndex

IntArray = npt.NDArray[np.int64]
FOLDS = 5


def labels_in(faces: LabelledFaces, classes: Mapping[str, tuple[str, ...]]) -> dict[str, IntArray]:
    """Says what the faces are labelled as in each of a bundle's label sets.

    Args:
        faces: the labelled faces.
        classes: for each label set of the bundle its class names in column order.

    Returns:
        For each label set `(n,)` int64, -1 where a face has no label in it.

    Raises:
        DataError: not one face has a label in any of the sets.
    """
    found = {name: match_truth(faces, name, wanted).labels for name, wanted in classes.items()}
    if not any((labels >= 0).any() for labels in found.values()):
        known = ", ".join(sorted({name for names in classes.values() for name in names}))
        raise DataError(f"data: expected faces labelled with some of {known}, got {', '.join(faces.classes)}")
    return found


def make_gallery(
    encoder: Encoder, classes: Mapping[str, tuple[str, ...]], faces: LabelledFaces, progress: Progress | None = None
) -> Gallery:
    """Embeds labelled faces as a gallery.

    Args:
        encoder: the bundle's network.
        classes: for each label set its class names in column order.
        faces: the labelled faces.
        progress: called with the number of faces done and the total, after each batch.

    Raises:
        DataError: not one face has a label that the bundle knows.
    """
    labels = labels_in(faces, classes)
    return Gallery(
        encode_all(encoder, faces.crops, progress).embeddings,
        np.arange(len(faces), dtype=np.int64),
        labels,
        classes,
        np.array(faces.sources, dtype=np.str_),
        np.full(len(faces), float(int(time.time()))),
    )


def calibrate(
    encoder: Encoder, index: GalleryIndex, validation: LabelledFaces, progress: Progress | None = None
) -> tuple[dict[str, Calibration], dict[str, Any]]:
    """Fits each label set's calibration on validation faces.

    Args:
        encoder: the bundle's network.
        index: its gallery, which holds none of the validation faces.
        validation: labelled faces that the network was not trained on.
        progress: called with the number of faces done and the total, after each batch.

    Returns:
        For each label set the calibration fitted on all validation faces, and for each the cross-fitted figures: every
        face predicted by a calibration that was not fitted to it; None where there is but one face.
    """
    labels = labels_in(validation, index.classes)
    encoded = encode_all(encoder, validation.crops, progress)
    neighbors = index.search(encoded.embeddings, min(K_MAX, max(len(index), 1)))
    calibrations, figures = {}, {}
    for name in index.classes:
        evidence = Evidence.gather(encoded.logits[name], neighbors, labels[name], name)
        calibrations[name] = fit_calibration(evidence)
        folds = min(FOLDS, len(evidence))
        figures[name] = cross_fit(evidence, folds=folds).to_json() if folds > 1 else None
    return calibrations, figures


def build_bundle(
    path: Path,
    *,
    encoder: Path,
    classes: Mapping[str, tuple[str, ...]],
    train: LabelledFaces,
    validation: LabelledFaces,
    geometry: CropGeometry,
    flip: bool,
    training: Mapping[str, Any],
    weights: Path | None = None,
    progress: Callable[[str], Progress | None] = lambda stage: None,
) -> dict[str, Any]:
    """Makes a bundle of an exported network: gallery of the training faces, calibrations on the validation faces.

    Args:
        path: the bundle's folder; a bundle in it is replaced in one step.
        encoder: the `.tflite` file.
        classes: for each label set its class names in column order; the first is the default.
        train: faces for the gallery.
        validation: faces to calibrate on; in neither the training nor the gallery.
        geometry: how live faces are cropped.
        flip: whether predictions take the mean over a face and its mirror image.
        training: recipe and data, plain JSON values, for the manifest.
        weights: the network's Keras weights, if the bundle is to be trained further.
        progress: called with a stage's name, returns what is called as the stage goes on.

    Returns:
        The cross-fitted validation figures for each label set, which the manifest keeps too.
    """
    network = LiteRTEncoder(encoder, classes, flip=flip)
    gallery = make_gallery(network, classes, train, progress("index"))
    calibrations, figures = calibrate(network, GalleryIndex(gallery), validation, progress("calibrate"))
    save_bundle(
        path,
        encoder=encoder,
        flip=flip,
        gallery=gallery,
        classes=classes,
        default_labels=next(iter(classes)),
        geometry=geometry,
        calibrations=calibrations,
        weights=weights,
        training=training,
        metrics={"validation": figures},
    )
    return figures
