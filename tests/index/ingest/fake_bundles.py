"""Two bundles with fake encoders, and requests to sync galleries with them."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from moodspace.classifier.bundle.bundle import Bundle
from moodspace.embeddings.pictures import read_crop
from moodspace.index.ingest.folders import SyncRequest
from moodspace.index.ingest.read_faces import Cropper, FaceCrop, crop_digest, crop_whole_picture
from moodspace.index.ingest.workers import ReadOptions
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle

BUNDLE = fake_bundle(drawn_faces(14, seed=1))
# Another encoder: the mirror images make another fingerprint, and it sees faces in another way, too.
OTHER = replace(fake_bundle(drawn_faces(14, seed=1), dim=24, seed=5), meta={"flip": True})
_BUNDLES = {"this": BUNDLE, "other": OTHER}


class FakeReading(ReadOptions):
    """Find one face in a picture: all of it, mirrored, so that tests can tell the two ways of reading apart."""

    def open_cropper(self) -> Cropper:
        return crop_whole_picture if self.crops else cut_mirrored


def cut_mirrored(content: bytes) -> FaceCrop:
    return FaceCrop(read_crop(content)[:, ::-1], others=1)


def asked(*folders: Path, bundle: str = "this", **options: object) -> SyncRequest:
    """Return a request as `index` makes it."""
    return SyncRequest(folders, FakeReading(_BUNDLES[bundle].encoder_spec, crops=False), **options)


def seen(path: Path, bundle: Bundle = BUNDLE, *, mirrored: bool = False) -> tuple[str, np.ndarray]:
    """Return the digest and the embedding that a picture's face must have."""
    crop = read_crop(path)[:, ::-1] if mirrored else read_crop(path)
    return crop_digest(crop), bundle.encoder.encode(crop[None]).embeddings[0]


def held(gallery) -> dict[str, tuple[str, str, np.ndarray]]:
    """Return the content of a gallery: label, digest and embedding by source."""
    return {
        source: (label, digest, embedding)
        for part in gallery.rows()
        for source, label, digest, embedding in zip(
            part.sources, part.labels, part.digests, part.embeddings, strict=True
        )
    }
