"""An encoder without a network, and bundles made with it in memory, so that tests need neither TensorFlow nor files."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from moodspace.classifier.bundle.build import default_blend
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.calibration import Calibration
from moodspace.embeddings.crops import DEFAULT_GEOMETRY, SIZE
from moodspace.embeddings.data.labelled import LabelledFaces, label_sets
from moodspace.embeddings.data.labels import FER2013_CLASSES
from moodspace.embeddings.encoder import Encoded
from moodspace.index.gallery import Gallery
from moodspace.index.search import GalleryIndex

_LOGIT_SCALE = 8.0  # of the taught heads: about as sure on other faces as they are right


def plain_calibration(n_classes: int) -> Calibration:
    """A calibration that takes head and votes as they are, and the mean of both."""
    return Calibration((1.0,) * n_classes, (0.0,) * n_classes, alpha=0.5, tau=0.1, k=10, unknown_below=0.3)


class FakeEncoder:
    """A linear projection of the picture, the same for the same seed; it knows nothing unless `taught`.

    Args:
        dim: length of the embedding.
        classes: for each label set its class names in column order; FER2013's when None.
        seed: of the random projection and heads.
    """

    def __init__(self, dim: int = 16, classes: Mapping[str, tuple[str, ...]] | None = None, seed: int = 0) -> None:
        rng = np.random.default_rng(seed)
        self.dim = dim
        self.classes: Mapping[str, tuple[str, ...]] = dict(classes or {"fer2013": FER2013_CLASSES})
        self._projection = rng.normal(size=(SIZE * SIZE, dim)) / np.sqrt(dim)
        self._heads = {name: rng.normal(size=(SIZE * SIZE, len(names))) for name, names in self.classes.items()}

    @classmethod
    def taught(cls, faces: LabelledFaces, dim: int = 16, seed: int = 0) -> "FakeEncoder":
        """Return an encoder whose heads were fitted to each label set of the faces, by ridge regression.

        On other drawn faces it is right about half of the time after 140, six in ten after 350. The first label set's
        head also makes the first columns of the embedding.
        """
        sets = label_sets(faces)
        encoder = cls(dim, {name: targets.classes for name, targets in sets.items()}, seed)
        pictures = _standardised(faces.crops)
        solved = pictures.T @ np.linalg.inv(pictures @ pictures.T + 0.1 * np.eye(len(faces)))
        for name, targets in sets.items():
            centred = targets.proba - targets.proba.any(axis=1, keepdims=True) / targets.proba.shape[1]
            encoder._heads[name] = _LOGIT_SCALE * solved @ centred
        first = next(iter(encoder._heads.values()))[:, :dim]
        encoder._projection *= 0.2
        encoder._projection[:, : first.shape[1]] = first
        return encoder

    def encode(self, crops: npt.NDArray[np.uint8]) -> Encoded:
        """Encodes `(n, 48, 48)` uint8 crops; `n = 0` is legal."""
        pictures = _standardised(crops)
        # Of a picture of one grey nothing is left to project; it gets the first direction.
        embeddings = pictures @ self._projection + 1e-9 * np.eye(1, self.dim)
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        logits = {name: (pictures @ head).astype(np.float32) for name, head in self._heads.items()}
        return Encoded(embeddings=embeddings.astype(np.float32), logits=logits)


def fake_gallery(encoder: FakeEncoder, faces: LabelledFaces) -> Gallery:
    """The faces as a gallery, with a label column for each label set of the encoder."""
    sets = label_sets(faces)
    return Gallery(
        embeddings=encoder.encode(faces.crops).embeddings,
        ids=np.arange(len(faces), dtype=np.int64),
        labels={name: sets[name].labels for name in encoder.classes},
        classes=encoder.classes,
        sources=np.array(faces.sources, np.str_),
        added=np.zeros(len(faces)),
    )


def fake_bundle(faces: LabelledFaces, *, dim: int = 16, seed: int = 0) -> Bundle:
    """A bundle in memory, taught with the faces and holding them as its gallery; test it on others.

    Args:
        faces: at least one of each class.
        dim: length of the embedding, at least 2.
        seed: of the random part of the encoder.
    """
    encoder = FakeEncoder.taught(faces, dim, seed)
    gallery = fake_gallery(encoder, faces)
    return Bundle(
        path=Path("fake"),
        encoder=encoder,
        index=GalleryIndex(gallery, encoder="fake"),
        geometry=DEFAULT_GEOMETRY,
        calibrations={name: plain_calibration(len(names)) for name, names in encoder.classes.items()},
        classes=encoder.classes,
        default_labels=next(iter(encoder.classes)),
        meta={"flip": False, "training": {}, "metrics": {}},
        map_coordinates=gallery.embeddings[:, :2].copy(),
        blend=default_blend(encoder.classes),
    )


def _standardised(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.float64]:
    pixels = crops.reshape(len(crops), SIZE * SIZE).astype(np.float64)
    pixels -= pixels.mean(axis=1, keepdims=True)
    return pixels / np.maximum(np.linalg.norm(pixels, axis=1, keepdims=True), 1e-9)
