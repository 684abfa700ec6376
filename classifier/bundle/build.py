"""From an exported network and labelled faces to a bundle: gallery, calibrations, blend and gate.

`build_bundle` is the second half of a training; `train.train_bundle` is the whole of it.
"""

import time
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from moodspace.arrays import ByteArray, IntArray
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
from moodspace.classifier.metrics import Scores, confidence_gap
from moodspace.classifier.mixture import Scene, cross_fit_mixture, fit_mixture
from moodspace.classifier.taught_scores import Whitening, fit_gate
from moodspace.classifier.views import BLEND, Blend, Classes
from moodspace.embeddings.crops import CropGeometry
from moodspace.embeddings.data.labelled import DataError, LabelledFaces
from moodspace.embeddings.encoder import Encoded, Encoder, LiteRTEncoder, Progress, encode_all
from moodspace.index.gallery import Gallery
from moodspace.index.search import GalleryIndex, Neighbors

# Blends by label sets: the file says which and why.
_BLENDS = Path(__file__).with_name("blends.toml")
# The range that the blend's temperature is searched in.
_BLEND_TEMPERATURES = (0.25, 4.0)
# Folds of the cross-fitted validation figures.
FOLDS = 5
# Weights of the scenes that a blend is fitted to: of validation faces with the labels of the blend's truth and with
# those of another label set, and of everyday faces. docs/results.md has the figures for other weights.
_TRUTH_WEIGHT, _OTHER_WEIGHT, _EVERYDAY_WEIGHT = 1.0, 1.5, 1.0
# Number of validation faces that the gate is fitted to.
_GATE_FACES = 500


def build_bundle(
    path: Path,
    *,
    encoder: Path,
    classes: Classes,
    train: LabelledFaces,
    validation: LabelledFaces,
    geometry: CropGeometry,
    flip: bool,
    training: Mapping[str, Any],
    blend: Blend | None = None,
    weights: Path | None = None,
    everyday: LabelledFaces | None = None,
    progress: Callable[[str], Progress | None] = lambda stage: None,
) -> dict[str, Any]:
    """Make a bundle from an exported network: embed the gallery, fit the calibrations, save everything in one step.

    Args:
        path: The bundle's folder. A bundle that it holds is replaced in one step.
        encoder: The `.tflite` file.
        classes: Class names of each label set, in column order. Without a blend the first set is the default.
        train: Faces for the gallery.
        validation: Faces to calibrate on; neither trained on nor in the gallery.
        geometry: How live faces are cropped.
        flip: Predict from the mean over a face and its mirror image.
        training: Recipe and data for the manifest, plain JSON values.
        blend: The shares of each label set in one prediction. Its temperature and threshold are fitted here. None for
            label sets that do not blend.
        weights: The network's Keras weights, to train on from; None to leave them out.
        everyday: Faces of everyday life to fit the blend to, neither trained on nor in the gallery; None to keep the
            blend's shares.
        progress: Called with the name of a stage; returns the progress callback of that stage.

    Returns:
        The cross-fitted validation figures of each label set, which the manifest also has.

    Raises:
        DataError: No face has a label that the network knows.
        BundleError: The parts do not fit one another, or the disk refused.
    """
    network = LiteRTEncoder(encoder, classes, flip=flip)
    gallery = make_gallery(network, classes, train, progress("index"))
    index = GalleryIndex(gallery)
    calibrations, blend, figures = calibrate(
        network, index, validation, progress("calibrate"), blend=blend, everyday=everyday
    )
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
        gate=fit_gate(network, Whitening.fit(gallery.embeddings), _spread_sample(validation.crops, _GATE_FACES)),
        weights=weights,
        training=training,
        metrics={"validation": figures},
    )
    return figures


def default_blend(classes: Classes) -> Blend | None:
    """Return the blend that `blends.toml` has for these label sets, over the classes that all of them share, or None.

    Args:
        classes: Class names of each label set, in column order.
    """
    for blend in tomllib.loads(_BLENDS.read_text(encoding="utf-8"))["blend"]:
        shares: dict[str, dict[str, float]] = blend["shares"]
        if shares.keys() == set(classes):
            first = next(iter(shares.values()))
            shared = tuple(name for name in first if all(name in names for names in classes.values()))
            by_set = {label_set: tuple(own[name] for name in shared) for label_set, own in shares.items()}
            return Blend(shared, by_set, blend["truth"])
    return None


def labels_in(faces: LabelledFaces, classes: Classes) -> dict[str, IntArray]:
    """Return the faces' labels as columns of a bundle's label sets.

    Args:
        faces: The labelled faces.
        classes: Class names of each label set of the bundle, in column order.

    Returns:
        For each label set `(n,)` int64, -1 where a face has no label in it.

    Raises:
        DataError: No face has a label in any of the sets.
    """
    found = {name: match_truth(faces, name, names).labels for name, names in classes.items()}
    if not any((labels >= 0).any() for labels in found.values()):
        known = ", ".join(sorted({name for names in classes.values() for name in names}))
        raise DataError(f"data: expected faces labelled with some of {known}, got {', '.join(faces.classes)}")
    return found


def make_gallery(encoder: Encoder, classes: Classes, faces: LabelledFaces, progress: Progress | None = None) -> Gallery:
    """Embed labelled faces as a gallery.

    Args:
        encoder: The bundle's network.
        classes: Class names of each label set, in column order.
        faces: The labelled faces.
        progress: Called with the number of faces done and the total, after each batch.

    Raises:
        DataError: No face has a label that the bundle knows.
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
    encoder: Encoder,
    index: GalleryIndex,
    validation: LabelledFaces,
    progress: Progress | None = None,
    *,
    blend: Blend | None = None,
    everyday: LabelledFaces | None = None,
) -> tuple[dict[str, Calibration], Blend | None, dict[str, Any]]:
    """Fit the calibration of each label set, and the blend, to validation faces.

    Args:
        encoder: The bundle's network.
        index: Its gallery, which holds none of the validation faces.
        validation: Labelled faces that the network was not trained on.
        progress: Called with the number of faces done and the total, after each batch.
        blend: The blend whose temperature and threshold are fitted; None for none.
        everyday: Faces of everyday life to fit the blend's weights to, besides the validation faces. None, or 5 faces
            or fewer, keeps the blend's shares.

    Returns:
        The calibration of each label set, fitted to all validation faces; the fitted blend; and for each label set the
        cross-fitted figures, where no face is predicted by a calibration that was fitted to it. The figures are None
        if there is only one face. If the blend's weights were fitted, the figures of "blend" have those of each scene.
    """
    labels = labels_in(validation, index.classes)
    encoded = encode_all(encoder, validation.crops, progress)
    neighbors = index.search(encoded.embeddings, min(K_MAX, max(len(index), 1)))
    calibrations, figures = {}, {}
    for name in index.classes:
        data = CalibrationData.gather(encoded.logits[name], neighbors, labels[name], name)
        calibrations[name] = fit_calibration(data)
        folds = min(FOLDS, len(data))
        figures[name] = cross_fit(data, folds=folds).to_json() if folds > 1 else None
    found = _Found(encoded, neighbors, labels)
    if blend is not None:
        blend = _fit_blend(blend, found, index.classes, calibrations)
    if blend is not None and everyday is not None and min(len(validation), len(everyday)) > FOLDS:
        encoded = encode_all(encoder, everyday.crops)
        neighbors = index.search(encoded.embeddings, min(K_MAX, max(len(index), 1)))
        truth = {BLEND: match_truth(everyday, BLEND, blend.classes).labels}
        scenes = _scenes(blend, index.classes, calibrations, found, _Found(encoded, neighbors, truth))
        blend, figures[BLEND] = _fit_scenes(blend, index.classes, scenes)
    return calibrations, blend, figures


class _Found(NamedTuple):
    """The encodings, neighbors and labels of the faces of a data set."""

    encoded: Encoded
    neighbors: Neighbors
    labels: Mapping[str, IntArray]


def _probabilities(
    found: _Found, classes: Classes, calibrations: Mapping[str, Calibration]
) -> dict[str, npt.NDArray[np.float32]]:
    """Return the ensemble's probabilities in each label set."""
    return {
        name: combine(found.encoded.logits[name], found.neighbors, calibrations[name], name, classes[name]).proba
        for name in classes
    }


def _labels_of(blend: Blend, found: _Found, classes: Classes, truth: str) -> IntArray:
    """Return the labels of one label set as columns of the blend."""
    none = np.full(len(found.encoded), -1, np.int64)
    return blend.labels({name: found.labels[name] if name == truth else none for name in blend.shares}, classes)


def _fit_blend(blend: Blend, found: _Found, classes: Classes, calibrations: Mapping[str, Calibration]) -> Blend:
    """Fit temperature and `unknown` threshold of a blend to the faces that have a label in its truth."""
    truth = _labels_of(blend, found, classes, blend.truth)
    mean, truth = blend.mean(_probabilities(found, classes, calibrations), classes)[truth >= 0], truth[truth >= 0]
    if not len(truth):
        return blend
    temperature = fit_temperature(lambda value: sharpen(mean, value), truth, *_BLEND_TEMPERATURES)
    threshold = fit_unknown_threshold(sharpen(mean, temperature).astype(np.float32), truth)
    return replace(blend, temperature=temperature, unknown_below=threshold)


def _scenes(
    blend: Blend, classes: Classes, calibrations: Mapping[str, Calibration], validation: _Found, everyday: _Found
) -> dict[str, Scene]:
    """Return the validation faces with the labels of each label set, and the everyday faces."""
    proba = _probabilities(validation, classes, calibrations)
    scenes = {
        name: Scene(
            proba,
            _labels_of(blend, validation, classes, name),
            _TRUTH_WEIGHT if name == blend.truth else _OTHER_WEIGHT,
        )
        for name in blend.shares
    }
    faces = _probabilities(everyday, classes, calibrations)
    return scenes | {"everyday": Scene(faces, everyday.labels[BLEND], _EVERYDAY_WEIGHT, balanced=True)}


def _fit_scenes(blend: Blend, classes: Classes, scenes: Mapping[str, Scene]) -> tuple[Blend, dict[str, Any]]:
    """Fit the blend's weights to scenes; the threshold and the figures are cross-fitted."""
    figures, proba, labels = {}, [], []
    for (name, scene), found in zip(
        scenes.items(), cross_fit_mixture(blend, classes, list(scenes.values()), folds=FOLDS), strict=True
    ):
        proba.append(found[scene.labels >= 0].astype(np.float32))
        labels.append(scene.labels[scene.labels >= 0])
        scores = Scores.of(proba[-1], labels[-1]).to_json()
        figures[name] = scores | {"n": len(labels[-1]), "gap": confidence_gap(proba[-1], labels[-1])}
    fitted = fit_mixture(blend, classes, list(scenes.values()))
    return replace(fitted, unknown_below=fit_unknown_threshold(np.concatenate(proba), np.concatenate(labels))), figures


def _spread_sample(crops: ByteArray, count: int) -> ByteArray:
    """Return about `count` crops, evenly spread over the data set, because it may be sorted by class."""
    return crops[:: max(1, len(crops) // count)]
