"""A process with a live session of one still face in a real window.

Prints a JSON line with the time whenever the face's expression changes or a face is taught.
"""

import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.detectors import open_detector
from moodspace.embeddings.pictures import read_rgb
from moodspace.index.taught.faces import LIVE, NewFaces
from moodspace.index.taught.user_gallery import FollowedGallery, open_gallery
from moodspace.realtime.capture.source import Frame, Source
from moodspace.realtime.pipeline import LivePipeline, LiveResult
from moodspace.realtime.window.loop import live


class Still(Source):
    """A camera that sees one picture, 20 times a second; it tilts a little, so that its frames differ."""

    def __init__(self, path: Path) -> None:
        super().__init__(live=True)
        self._bgr = np.ascontiguousarray(read_rgb(path)[..., ::-1])

    def __iter__(self) -> Iterator[Frame]:
        started = time.monotonic()
        for index in range(20 * 60):
            yield Frame("still", index, time.monotonic() - started, self._tilted(index), 20.0)
            time.sleep(0.05)

    def _tilted(self, index: int) -> np.ndarray:
        height, width = self._bgr.shape[:2]
        degrees, scale = 7 * np.sin(index / 9), 1 + 0.06 * np.sin(index / 5)
        turn = cv2.getRotationMatrix2D((width / 2, height / 2), degrees, scale)
        return cv2.warpAffine(self._bgr, turn, (width, height), borderMode=cv2.BORDER_REPLICATE)


def main(bundle_path: str, picture: str, folder: str) -> None:
    bundle = load_bundle(Path(bundle_path))
    gallery = open_gallery(Path(folder) / "gallery", bundle.encoder_spec, create=True)
    recognizer = Recognizer(bundle, taught=FollowedGallery(Path(folder) / "gallery", bundle.encoder_spec))
    before = ""

    def tell(frame: Frame, result: LiveResult) -> None:
        nonlocal before
        names = [result.prediction.classes[column] if column >= 0 else "unsure" for column in result.shown]
        if names and names[0] != before:
            before = names[0]
            print(json.dumps({"shows": before, "at": time.time()}), flush=True)

    def teach(embeddings: np.ndarray, label: str, crops: np.ndarray) -> None:
        started, n = time.perf_counter(), len(embeddings)
        gallery.add(NewFaces(embeddings, [label] * n, [LIVE] * n, [""] * n))
        told = {"taught": label, "faces": n, "seconds": time.perf_counter() - started}
        print(json.dumps(told), flush=True)

    def undo() -> str:
        gallery.undo()
        return "forgot one"

    live(
        Still(Path(picture)),
        LivePipeline(open_detector(), recognizer),
        on_result=tell,
        teach=teach,
        undo=undo,
        snapshots=Path(folder),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
