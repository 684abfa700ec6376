"""From an exported network and labelled faces to a gallery, calibrations and a bundle."""

import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import IntArray
from moodspace.classifier.bundle.bundle import save_bundle
from moodspace.classifier.calibration import Calibration, sharpen
from moodspace.classifier.ensemble import combine
from moodspace.classifier.evaluation import match_truth
from moodspace.classifier.fitting import (
    K_MAX,
    CalibrationData,
    cross_fit,
    fit_calibration,
    fit_temperature,
    fit_unknown_threshold,
)
from moodspace.classifier.taught_scores import Whitening, fit_gate
from moodspace.classifier.views import BLEND, Blend, default_blend
from moodspace.embeddings.crops import CropGeometry
from moodspace.embeddings.data.labelled import DataError, LabelledFaces
from moodspace.embeddings.encoder import Encoded, Encoder, LiteRTEncoder, Progress, encode_all
from moodspace.index.gallery import Gallery
from moodspace.index.search import GalleryIndex, Neighbors

FOLDS = 5
# So many validation faces say how close near copies are.
_COPIED = 500


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
) -> tuple[dict[str, Calibration], Blend | None, dict[str, Any]]:
    """Fits each label set's calibration, and the blend of the sets, on validation faces.

    Args:
        encoder: the bundle's network.
        index: its gallery, which holds none of the validation faces.
        validation: labelled faces that the network was not trained on.
        progress: called with the number of faces done and the total, after each batch.

    Returns:
        For each label set the calibration fitted on all validation faces; the blend, if these sets have one; and for
        each set the cross-fitted figures, every face predicted by a calibration that was not fitted to it, None where
        there is but one face.
    """
    labels = labels_in(validation, index.classes)
    encoded = encode_all(encoder, validation.crops, progress)
    neighbors = index.search(encoded.embeddings, min(K_MAX, max(len(index), 1)))
    calibrations, figures = {}, {}
    for name in index.classes:
        evidence = CalibrationData.gather(encoded.logits[name], neighbors, labels[name], name)
        calibrations[name] = fit_calibration(evidence)
        folds = min(FOLDS, len(evidence))
        figures[name] = cross_fit(evidence, folds=folds).to_json() if folds > 1 else None
    return calibrations, _fit_blend(encoded, neighbors, index.classes, calibrations, labels), figures


def _fit_blend(
    encoded: Encoded,
    neighbors: Neighbors,
    classes: Mapping[str, tuple[str, ...]],
    calibrations: Mapping[str, Calibration],
    labels: Mapping[str, IntArray],
) -> Blend | None:
    """Fits temperature and `unknown` threshold of the usual blend on the faces that have a label in its truth."""
    if (blend := default_blend(classes)) is None:
        return None
    proba = {
        name: combine(encoded.logits[name], neighbors, calibrations[name], name, classes[name]).proba
        for name in classes
    }
    none = np.full(len(encoded), -1, np.int64)
    truth = blend.labels({name: labels[name] if name == blend.truth else none for name in classes}, classes)
    mean, truth = blend.mean(proba, classes)[truth >= 0], truth[truth >= 0]
    if not len(truth):
        return blend
    temperature = fit_temperature(lambda value: sharpen(mean, value), truth, 0.25, 4.0)
    threshold = fit_unknown_threshold(sharpen(mean, temperature).astype(np.float32), truth)
    return replace(blend, temperature=temperature, unknown_below=threshold)


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
        classes: for each label set its class names in column order; the first is the default unless they blend.
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
    calibrations, blend, figures = calibrate(network, GalleryIndex(gallery), validation, progress("calibrate"))
    save_bundle(
        path,
        encoder=encoder,
        flip=flip,
        gallery=gallery,
        classes=classes,
        default_labels=BLEND if blend else next(iter(classes)),
        geometry=geometry,
        calibrations=calibrations,
        blend=blend,
        gate=fit_gate(network, Whitening.fit(gallery.embeddings), _some(validation.crops)),
        weights=weights,
        training=training,
        metrics={"validation": figures},
    )
    return figures


def _some(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """Returns crops from all over a data set, which may be sorted by class."""
    return crops[:: max(1, len(crops) // _COPIED)]
