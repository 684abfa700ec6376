"""A pipeline without a network for tests of pages' logic: it finds two faces wherever it looks."""

from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.pipeline import FrameResult, Pipeline
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle
from tests.realtime.fakes import FakeDetector, faces_at

RECOGNIZER = Recognizer(fake_bundle(drawn_faces(35, seed=1)))
PIPELINE = Pipeline(FakeDetector(faces_at((10, 20, 40, 50), (60, 15, 30, 40))), RECOGNIZER)


def recognize(bgr) -> FrameResult:
    return PIPELINE.process(bgr, 0.0)
