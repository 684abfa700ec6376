"""The bundle: one folder with everything that a prediction needs. It loads whole or not at all.

`manifest.json` has the classes, crop geometry, calibrations and training, and the SHA-256 of each artifact:

- `encoder.tflite`: the exported network. The gallery must have been embedded by a network with this SHA-256.
- `gallery.*`: the labelled faces.
- `map.npy`: `(n, 2)` float32, the map position of each gallery face; optional.
- `encoder.weights.h5`: the Keras weights, to train on from; optional.
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
from moodspace.classifier.quality_effect import QualityEffect
from moodspace.classifier.taught_scores import Gate
from moodspace.classifier.views import BLEND, Blend
from moodspace.embeddings.crops import CropGeometry
from moodspace.embeddings.encoder import Encoder, EncoderSpec, LiteRTEncoder
from moodspace.errors import MoodspaceError
from moodspace.index.gallery import Gallery
from moodspace.index.search import GalleryIndex, gallery_meta, gallery_writers, load_gallery
from moodspace.index.store.commit import Writer, commit
from moodspace.index.store.lock import locked, read_stored
from moodspace.index.store.manifest import Manifest

REBUILD = "restore the bundle from a copy or train again"


class BundleError(MoodspaceError):
    """A bundle cannot be used or written."""

    exit_code = 3


@dataclass(frozen=True, slots=True, eq=False)
class Bundle:
    """Everything that a prediction needs.

    Attributes:
        path: The folder, as given.
        encoder: Turns crops into embeddings and logits.
        index: The search index over the gallery.
        geometry: The positions of the landmarks in a crop.
        calibrations: The fitted values of each label set.
        classes: Class names of each label set, in column order.
        default_labels: The view that is predicted by default: a label set or "blend".
        meta: The manifest's plain JSON values, among them `flip`, `training` and `metrics`.
        map_coordinates: `(n, 2)` float32, finite, the map position of each face of `moodspace.index.gallery`; or None.
        weights: The Keras weights to train on from, or None.
        blend: How several label sets make one prediction, or None.
        gate: When the faces that a user taught change a prediction.
        quality: For each view how low quality lowers the confidence; views may be missing.

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
    quality: Mapping[str, QualityEffect] = field(default_factory=dict)

    @property
    def views(self) -> dict[str, tuple[str, ...]]:
        """The classes of each view, in column order: of each label set, and of the blend if there is one."""
        return {**self.classes, **({BLEND: self.blend.classes} if self.blend else {})}

    @property
    def encoder_spec(self) -> EncoderSpec:
        """The encoder and the crop geometry, for other processes and for galleries of the same embeddings."""
        flip, sha256 = bool(self.meta.get("flip")), self.index.encoder
        return EncoderSpec(
            fingerprint=("flip-" if flip else "") + sha256,
            dim=self.encoder.dim,
            geometry=self.geometry,
            classes=self.classes,
            flip=flip,
            model=self.encoder.model if isinstance(self.encoder, LiteRTEncoder) else None,
            sha256=sha256,
            opened=self.encoder,
        )

    def __post_init__(self) -> None:
        self._check("an encoder with the classes", dict(self.classes), dict(self.encoder.classes))
        self._check("a gallery with the classes", dict(self.classes), dict(self.index.classes))
        scales = {name: len(values.scale) for name, values in self.calibrations.items()}
        self._check(
            "calibrations of these numbers of classes",
            {name: len(self.classes[name]) for name in self.classes},
            scales,
        )
        self._check("a gallery of the encoder's dimension", self.encoder.dim, self.index.dim)
        if self.default_labels not in self.views:
            raise _error(self.path, f"a default label set among {sorted(self.views)}", repr(self.default_labels))
        if self.blend and not all(set(self.blend.classes) <= set(self.classes.get(n, ())) for n in self.blend.shares):
            raise _error(self.path, "a blend of the bundle's label sets", str(self.blend))
        for name, rows in ((self.blend.weights if self.blend else None) or {}).items():
            self._check(f"blend weights for the classes of {name}:", len(self.classes[name]), len(rows))
        if unknown := sorted(set(self.quality) - set(self.views)):
            raise _error(self.path, f"quality for views among {sorted(self.views)}", str(unknown))
        if self.map_coordinates is not None:
            self._check("map coordinates of shape", (len(self.index), 2), self.map_coordinates.shape)
            if not np.isfinite(self.map_coordinates).all():
                raise _error(self.path, "finite map coordinates", "NaN or infinity")

    def _check(self, what: str, wanted: object, found: object) -> None:
        if wanted != found:
            raise _error(self.path, f"{what} {wanted}", str(found))


def _error(path: Path, expected: str, got: str) -> BundleError:
    return BundleError(f"{path}: expected {expected}, got {got}; {REBUILD}")


FORMAT, VERSION = "moodspace-bundle", 2
ENCODER, WEIGHTS, MAP = "encoder.tflite", "encoder.weights.h5", "map.npy"


def load_bundle(path: Path, *, threads: int = 2) -> Bundle:
    """Load a bundle. Every file is checked against its SHA-256, and the parts against one another.

    Args:
        path: The bundle's folder.
        threads: Number of threads that the encoder may use.

    Raises:
        BundleError: The folder is not a bundle, a file is missing or damaged, or the parts do not fit one another.
    """
    with _one_error(path):
        return read_stored(path, format=FORMAT, version=VERSION, read=partial(_open, threads=threads))


def _open(manifest: Manifest, *, threads: int) -> Bundle:
    path = manifest.folder
    with _one_error(path):
        if manifest.version < VERSION:
            raise _error(path, f"{FORMAT} version {VERSION}", str(manifest.version))
        meta = manifest.meta
        listed, calibrations = _value(meta, "classes", dict), _value(meta, "calibrations", dict)
        classes = {name: tuple(_value(listed, name, list)) for name in listed}
        for part in ("training", "metrics", *(one for one in ("blend", "gate", "quality") if meta.get(one))):
            _value(meta, part, dict)
        encoder = LiteRTEncoder(manifest.path(ENCODER), classes, flip=_value(meta, "flip", bool), threads=threads)
        return Bundle(
            path=path,
            encoder=encoder,
            index=load_gallery(manifest, encoder=manifest.files[ENCODER].sha256),
            geometry=CropGeometry.from_json(_value(meta, "geometry", dict)),
            calibrations={name: Calibration.from_json(values) for name, values in calibrations.items()},
            classes=classes,
            default_labels=_value(meta, "default_labels", str),
            meta=meta,
            map_coordinates=_read_map(manifest.path(MAP)) if MAP in manifest.files else None,
            weights=manifest.path(WEIGHTS) if WEIGHTS in manifest.files else None,
            blend=Blend.from_json(meta["blend"]) if meta.get("blend") else None,
            gate=Gate.from_json(meta.get("gate") or {}),
            quality={view: QualityEffect.from_json(one) for view, one in (meta.get("quality") or {}).items()},
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
    quality: Mapping[str, QualityEffect] | None = None,
    map_coordinates: FloatArray | None = None,
    weights: Path | None = None,
    training: Mapping[str, Any] | None = None,
    metrics: Mapping[str, Any] | None = None,
) -> None:
    """Write a bundle in one step and replace the one in the folder, if any. A crash leaves the old bundle.

    Args:
        path: The bundle's folder; created if it does not exist.
        encoder: The exported network.
        flip: Whether the encoder returns the mean over a face and its mirror image.
        gallery: The labelled faces, embedded by this encoder with this `flip`.
        classes, default_labels, geometry, calibrations, blend, gate, quality, map_coordinates, weights: As in `Bundle`.
        training, metrics: How the network was trained, and its measured figures, as plain JSON values.

    Raises:
        BundleError: The parts do not fit one another, or the files cannot be written.
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
            quality=quality or {},
        )
        sources = {ENCODER: encoder} | ({WEIGHTS: weights} if weights else {})
        copies: dict[str, Writer] = {name: partial(_copy, source) for name, source in sources.items()}
        _commit(bundle, copies | gallery_writers(bundle.index) | _map_files(map_coordinates))


def update_bundle(
    path: Path,
    *,
    gallery: Gallery | None = None,
    calibrations: Mapping[str, Calibration] | None = None,
    gate: Gate | None = None,
    quality: Mapping[str, QualityEffect] | None = None,
    map_coordinates: FloatArray | None = None,
    metrics: Mapping[str, Any] | None = None,
    made_from: Bundle | None = None,
) -> None:
    """Replace parts of a bundle in one step. Parts that are None stay. A crash leaves the old bundle.

    The bundle is locked meanwhile, so that concurrent updates do not lose changes.

    Args:
        path: The bundle's folder.
        gallery: New labelled faces, embedded by the bundle's encoder. The old map is dropped.
        calibrations: New fitted values, for each label set that changes.
        gate, quality, map_coordinates: As in `Bundle`.
        metrics: Measured figures by name, as plain JSON values. Other names stay.
        made_from: The bundle that the new parts were computed from. The update fails if its network or gallery has
            been replaced since. None for parts that depend on neither.

    Raises:
        BundleError: The folder is not a valid bundle, the parts do not fit one another or another version of the
            bundle, or the files cannot be written.
    """
    with _one_error(path), locked(path):
        old = load_bundle(path)
        if made_from is not None and not _same_gallery(old, made_from):
            raise BundleError(f"{path}: expected the network and gallery of before, got others; start again")
        keep = {ENCODER, *gallery_writers(old.index)} | ({WEIGHTS} if old.weights else set())
        places = old.map_coordinates if map_coordinates is None and gallery is None else map_coordinates
        bundle = replace(
            old,
            index=old.index if gallery is None else GalleryIndex(gallery, encoder=old.index.encoder),
            calibrations={**old.calibrations, **(calibrations or {})},
            gate=gate or old.gate,
            quality=old.quality if quality is None else quality,
            map_coordinates=places,
            meta={**old.meta, "metrics": {**old.meta["metrics"], **(metrics or {})}},
        )
        _commit(bundle, ({} if gallery is None else gallery_writers(bundle.index)) | _map_files(places), keep)


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
        "quality": {view: effect.to_json() for view, effect in bundle.quality.items()},
        "calibrations": {name: values.to_json() for name, values in bundle.calibrations.items()},
        **gallery_meta(bundle.index),
    }
    commit(bundle.path, files, meta, format=FORMAT, version=VERSION, keep=keep)


def _value(meta: Mapping[str, Any], key: str, kind: type) -> Any:
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
        raise ValueError(f"{path}: expected map coordinates, got: {error}; rebuild the map") from error


@contextmanager
def _one_error(path: Path) -> Iterator[None]:
    """Raise every error of the parts as a `BundleError` of one line that names the bundle."""
    try:
        yield
    except BundleError:
        raise
    except (ValueError, OSError) as error:
        reason = " ".join(str(error).split())
        raise BundleError(reason if reason.startswith(str(path)) else f"{path}: {reason}") from error
