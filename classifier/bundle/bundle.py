"""A bundle: one folder with everything that a prediction needs, which loads whole or not at all.

`manifest.json` states classes, crop geometry, calibrations, how it was trained, and the SHA-256 of each artifact:

- `encoder.tflite`: the exported network; its SHA-256 is the fingerprint that the gallery has to be made with.
- `gallery.*`: the labelled faces to compare with.
- `map.npy`: `(n, 2)` float32, where each gallery face stands on the map; may be missing.
- `encoder.weights.h5`: the network's weights to train on from; may be missing.
"""

import hashlib
import reprlib
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.arrays import FloatArray
from moodspace.classifier.calibration import Calibration
from moodspace.classifier.taught_scores import Gate
from moodspace.classifier.views import BLEND, Blend
from moodspace.embeddings.crops import CropGeometry
from moodspace.embeddings.encoder import Encoder, LiteRTEncoder
from moodspace.errors import MoodspaceError
from moodspace.index.gallery import Gallery
from moodspace.index.search import GalleryIndex, gallery_files, gallery_meta, load_gallery
from moodspace.index.store.commit import Writer, commit
from moodspace.index.store.lock import locked, read_stored
from moodspace.index.store.manifest import Manifest

REBUILD = "restore the bundle from a copy or train again"


class BundleError(MoodspaceError):
    """A bundle that cannot be used or made: names the folder, what was expected, what came, what to do next."""

    exit_code = 3


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """Everything that a prediction needs.

    Attributes:
        path: The folder, as it was given.
        encoder: Turns crops into embeddings and logits.
        index: The gallery's faces, to search among.
        geometry: Where landmarks stand in a crop.
        calibrations: For each label set its fitted values.
        classes: For each label set its class names in column order.
        default_labels: The label set, or "blend", that is predicted unless another one is asked for.
        meta: All that the manifest states, plain JSON values; beside the above `flip`, `training` and `metrics`.
        map_coordinates: `(n, 2)` float32, finite, the place of each face of `index.gallery` on the map; or None.
        weights: The Keras weights to train on from, or None.
        blend: How several label sets make one prediction, or None.
        gate: When faces that a user taught speak.

    Raises:
        BundleError: The parts do not fit one another.
    """

    path: Path
    encoder: Encoder
    index: GalleryIndex
    geometry: CropGeometry
    calibrations: Mapping[str, Calibration]
    classes: Mapping[str, tuple[str, ...]]
    default_labels: str
    meta: Mapping[str, Any]
    map_coordinates: FloatArray | None = None
    weights: Path | None = None
    blend: Blend | None = None
    gate: Gate = field(default_factory=Gate)

    @property
    def views(self) -> dict[str, tuple[str, ...]]:
        """What can be predicted: each label set, and the blend where there is one, with their classes in order."""
        return {**self.classes, **({BLEND: self.blend.classes} if self.blend else {})}

    def __post_init__(self) -> None:
        self._check("an encoder with the classes", dict(self.classes), dict(self.encoder.classes))
        self._check("a gallery with the classes", dict(self.classes), dict(self.index.classes))
        scales = {name: len(values.scale) for name, values in self.calibrations.items()}
        self._check("calibrations of so many classes", {name: len(self.classes[name]) for name in self.classes}, scales)
        self._check("a gallery of the encoder's dimension", self.encoder.dim, self.index.dim)
        if self.default_labels not in self.views:
            raise refusal(self.path, f"a default label set out of {sorted(self.views)}", repr(self.default_labels))
        if self.blend and not all(set(self.blend.classes) <= set(self.classes.get(n, ())) for n in self.blend.shares):
            raise refusal(self.path, "a blend of the bundle's label sets", str(self.blend))
        if self.map_coordinates is not None:
            self._check("map coordinates of shape", (len(self.index), 2), self.map_coordinates.shape)
            if not np.isfinite(self.map_coordinates).all():
                raise refusal(self.path, "finite map coordinates", "NaN or infinity")

    def _check(self, what: str, wanted: object, found: object) -> None:
        if wanted != found:
            raise refusal(self.path, f"{what} {wanted}", str(found))


def refusal(path: Path, expected: str, got: str) -> BundleError:
    """Return the error that names the folder, what was expected and what came."""
    return BundleError(f"{path}: expected {expected}, got {got}; {REBUILD}")


FORMAT, VERSION = "moodspace-bundle", 2
ENCODER, WEIGHTS, MAP = "encoder.tflite", "encoder.weights.h5", "map.npy"


def load_bundle(path: Path, *, threads: int = 2) -> Bundle:
    """Read a bundle and checks that all of it is there, unharmed, and fits together.

    Args:
        path: The bundle's folder.
        threads: How many threads the encoder may use.

    Raises:
        BundleError: The folder is not a bundle, a file is missing or damaged, or the parts do not fit one another.
    """
    with _one_error(path):
        return read_stored(path, format=FORMAT, version=VERSION, read=partial(_opened, threads=threads))


def _opened(manifest: Manifest, *, threads: int) -> Bundle:
    path = manifest.folder
    with _one_error(path):
        if manifest.version < VERSION:
            raise refusal(path, f"{FORMAT} version {VERSION}", str(manifest.version))
        meta = manifest.meta
        stated, calibrations = _stated(meta, "classes", dict), _stated(meta, "calibrations", dict)
        classes = {name: tuple(_stated(stated, name, list)) for name in stated}
        for part in ("training", "metrics"):
            _stated(meta, part, dict)
        encoder = LiteRTEncoder(manifest.path(ENCODER), classes, flip=_stated(meta, "flip", bool), threads=threads)
        return Bundle(
            path=path,
            encoder=encoder,
            index=load_gallery(manifest, encoder=manifest.files[ENCODER].sha256),
            geometry=CropGeometry.from_json(_stated(meta, "geometry", dict)),
            calibrations={name: Calibration.from_json(values) for name, values in calibrations.items()},
            classes=classes,
            default_labels=_stated(meta, "default_labels", str),
            meta=meta,
            map_coordinates=_read_map(manifest.path(MAP)) if MAP in manifest.files else None,
            weights=manifest.path(WEIGHTS) if WEIGHTS in manifest.files else None,
            blend=Blend.from_json(meta["blend"]) if meta.get("blend") else None,
            gate=Gate.from_json(meta.get("gate") or {}),
        )


def save_bundle(
    path: Path,
    *,
    encoder: Path,
    flip: bool,
    gallery: Gallery,
    classes: Mapping[str, tuple[str, ...]],
    default_labels: str,
    geometry: CropGeometry,
    calibrations: Mapping[str, Calibration],
    blend: Blend | None = None,
    gate: Gate | None = None,
    map_coordinates: FloatArray | None = None,
    weights: Path | None = None,
    training: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> None:
    """Write a whole bundle in one step, replacing the bundle that the folder may hold; a crash leaves the old one.

    Args:
        path: The bundle's folder, made when missing.
        encoder: The exported network.
        flip: Whether the encoder takes the mean over a face and its mirror image.
        gallery: The labelled faces, embedded by this encoder with this `flip`.
        classes, default_labels, geometry, calibrations, blend, gate, map_coordinates, weights: As in `Bundle`.
        training, metrics: How the network was trained and what was measured, plain JSON values.

    Raises:
        BundleError: The parts do not fit one another, or the disk refused.
    """
    with _one_error(path):
        bundle = Bundle(
            path=path,
            encoder=LiteRTEncoder(encoder, classes, flip=flip),
            index=GalleryIndex(gallery, encoder=hashlib.sha256(encoder.read_bytes()).hexdigest()),
            geometry=geometry,
            calibrations=calibrations,
            classes=classes,
            default_labels=default_labels,
            meta={"flip": flip, "training": dict(training or {}), "metrics": dict(metrics or {})},
            map_coordinates=map_coordinates,
            blend=blend,
            gate=gate or Gate(),
        )
        sources = {ENCODER: encoder} | ({WEIGHTS: weights} if weights else {})
        copies: dict[str, Writer] = {name: partial(_copy, source) for name, source in sources.items()}
        _commit(bundle, copies | gallery_files(bundle.index) | _map_files(map_coordinates))


def update_bundle(
    path: Path,
    *,
    gallery: Gallery | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
    gate: Gate | None = None,
    map_coordinates: FloatArray | None = None,
    metrics: Mapping[str, Any] | None = None,
    made_from: Bundle | None = None,
) -> None:
    """Replace parts of a bundle in one step; a crash leaves it as it was. What is None stays as it is.

    Other writers wait, so that two of them lose nothing of what the other one wrote.

    Args:
        path: The bundle's folder.
        gallery: Other labelled faces, embedded by the bundle's encoder. The map of the present ones is dropped.
        calibrations: For each label set that changes its fitted values.
        gate, map_coordinates: As in `Bundle`.
        metrics: What was measured, plain JSON values; by name, others stay.
        made_from: The bundle that the new parts were made from; one whose network or gallery another program has
            replaced since is refused. None for parts that depend on neither.

    Raises:
        BundleError: The folder is no sound bundle, the parts do not fit one another or belong to another state, or the
            disk refused.
    """
    with _one_error(path), locked(path):
        old = load_bundle(path)
        if made_from is not None and not _same_gallery(old, made_from):
            raise BundleError(f"{path}: expected the network and gallery of before, got others; start again")
        keep = {ENCODER, *gallery_files(old.index)} | ({WEIGHTS} if old.weights else set())
        places = old.map_coordinates if map_coordinates is None and gallery is None else map_coordinates
        bundle = replace(
            old,
            index=old.index if gallery is None else GalleryIndex(gallery, encoder=old.index.encoder),
            calibrations={**old.calibrations, **(calibrations or {})},
            gate=gate or old.gate,
            map_coordinates=places,
            meta={**old.meta, "metrics": {**old.meta["metrics"], **(metrics or {})}},
        )
        _commit(bundle, ({} if gallery is None else gallery_files(bundle.index)) | _map_files(places), keep)


def _same_gallery(one: Bundle, other: Bundle) -> bool:
    mine, theirs = one.index.gallery, other.index.gallery
    same_faces = np.array_equal(mine.ids, theirs.ids) and np.array_equal(mine.embeddings, theirs.embeddings)
    return one.index.encoder == other.index.encoder and same_faces


def _commit(bundle: Bundle, files: Mapping[str, Writer], keep: Iterable[str] = ()) -> None:
    meta = {
        **bundle.meta,
        "classes": {name: list(names) for name, names in bundle.classes.items()},
        "default_labels": bundle.default_labels,
        "geometry": bundle.geometry.to_json(),
        "blend": bundle.blend.to_json() if bundle.blend else None,
        "gate": bundle.gate.to_json(),
        "calibrations": {name: values.to_json() for name, values in bundle.calibrations.items()},
        **gallery_meta(bundle.index),
    }
    commit(bundle.path, files, meta, format=FORMAT, version=VERSION, keep=keep)


def _stated(meta: Mapping[str, Any], key: str, kind: type) -> Any:
    if type(value := meta.get(key)) is not kind:
        raise ValueError(f"manifest: expected {key!r}, a {kind.__name__}, got {reprlib.repr(value)}; {REBUILD}")
    return value


def _copy(source: Path, path: Path) -> None:
    shutil.copyfile(source, path)


def _map_files(coordinates: FloatArray | None) -> dict[str, Writer]:
    return {} if coordinates is None else {MAP: lambda path: np.save(path, coordinates)}


def _read_map(path: Path) -> FloatArray:
    try:
        return np.asarray(np.load(path, allow_pickle=False), np.float32)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{path}: expected map coordinates, got: {error}; draw the map again") from error


@contextmanager
def _one_error(path: Path) -> Iterator[None]:
    """Turn whatever the parts complain about into one line about the bundle."""
    try:
        yield
    except BundleError:
        raise
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise BundleError(reason if reason.startswith(str(path)) else f"{path}: {reason}") from error
