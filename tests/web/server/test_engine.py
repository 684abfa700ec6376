"""The engine: pages wait for no live session and the other way round, and other views can be compared."""

import shutil
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.faces import Faces
from moodspace.index.taught.frozen import FrozenGallery
from moodspace.web.server import engine as engine_module
from moodspace.web.server.engine import Engine, SharedEncoder
from moodspace.web.server.settings import WebSettings
from tests.fake_encoder import FakeEncoder

PATIENCE_S = 30.0


class Slow(FakeEncoder):
    """An encoder that stops at its first faces until it is let go; `batches` has how many faces each call got."""

    def __init__(self) -> None:
        super().__init__()
        self.begun, self.go_on = threading.Event(), threading.Event()
        self.batches: list[int] = []

    def encode(self, crops):
        self.batches.append(len(crops))
        self.begun.set()
        assert self.go_on.wait(PATIENCE_S)
        return super().encode(crops)


def test_a_live_face_waits_for_a_few_faces_of_a_picture_not_for_all() -> None:
    encoder, crops = Slow(), np.zeros((40, 48, 48), np.uint8)
    shared = SharedEncoder(encoder)
    page = threading.Thread(target=shared.encode, args=(crops,))
    page.start()
    assert encoder.begun.wait(PATIENCE_S)
    live = threading.Thread(target=shared.encode, args=(crops[:1],))
    live.start()
    end = time.monotonic() + PATIENCE_S
    while not shared._turns._waiting and time.monotonic() < end:
        time.sleep(0.005)
    encoder.go_on.set()
    for thread in (page, live):
        thread.join(PATIENCE_S)
    assert encoder.batches == [8, 1, 8, 8, 8, 8]


def test_a_shared_encoder_gives_the_same_as_the_encoder() -> None:
    crops = np.random.default_rng(0).integers(0, 256, (21, 48, 48), np.uint8)
    for n in (0, 1, 8, 21):
        wanted, got = FakeEncoder().encode(crops[:n]), SharedEncoder(FakeEncoder()).encode(crops[:n])
        np.testing.assert_allclose(got.embeddings, wanted.embeddings, atol=1e-6)
        np.testing.assert_allclose(got.logits["fer2013"], wanted.logits["fer2013"], atol=1e-5)


def test_pictures_and_videos_have_detectors_of_their_own_opened_when_needed(
    shipped: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened: list[str] = []

    class Nobody:
        def __init__(self, name: str) -> None:
            self.name = name
            opened.append(name)

        def detect(self, frame_bgr: np.ndarray) -> Faces:
            used.append(self)
            return Faces.empty()

    used: list[Nobody] = []
    monkeypatch.setattr(engine_module, "open_detector", lambda: Nobody("frames"))
    monkeypatch.setattr(engine_module, "open_picture_detector", lambda: Nobody("pictures"))
    engine, frame = Engine(WebSettings(bundle=shipped)), np.zeros((64, 64, 3), np.uint8)
    try:
        live = len(opened)
        assert live >= 1
        assert set(opened) == {"frames"}
        recognizer = Recognizer(engine.bundle, "blend")
        engine.recognize(recognizer, frame)
        engine.recognize(recognizer, frame, video=True)
        engine.detector.detect(frame)
        assert opened[live:] == ["pictures", "frames"]
        assert len({id(one) for one in used}) == 3
    finally:
        engine.close()


def test_the_other_views_and_a_second_bundle_can_be_compared(shipped: Path, tmp_path: Path) -> None:
    second = shutil.copytree(shipped, tmp_path / "mine")
    engine = Engine(WebSettings(bundle=shipped, compare=second))
    try:
        own = Recognizer(engine.bundle, "blend", FrozenGallery(None))
        others = engine.others(own)
        names = ["fer2013", "ferplus", "mine: fer2013", "mine: ferplus", "mine: blend"]
        assert sorted(others) == sorted(names)
        assert others["ferplus"].label_set == others["mine: ferplus"].label_set == "ferplus"
        assert others["mine: blend"].bundle.path == second and others["ferplus"].bundle is engine.bundle
        # The same encoder, so that taught faces mean the same.
        assert all(one.taught is own.taught for one in others.values())
        alone = Engine(WebSettings(bundle=shipped))
        assert sorted(alone.others(own)) == ["fer2013", "ferplus"]
        alone.close()
    finally:
        engine.close()
