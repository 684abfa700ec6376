"""Tests of classifier/bundle/build.py: calibrations, and the blend fitted on everyday faces."""

from moodspace.classifier.bundle.build import calibrate
from moodspace.classifier.metrics import Scores
from moodspace.embeddings.data.labels import FER2013_CLASSES
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle


def test_everyday_faces_fit_the_blend_and_leave_the_label_sets_as_they_are():
    bundle = fake_bundle(drawn_faces(140, seed=0, votes=True))
    validation, everyday = drawn_faces(70, seed=1, votes=True), drawn_faces(42, seed=2)
    plain = calibrate(bundle.encoder, bundle.index, validation, blend=bundle.blend)
    fitted = calibrate(bundle.encoder, bundle.index, validation, blend=bundle.blend, everyday=everyday)
    assert fitted[0] == plain[0]
    assert plain[1] is not None
    assert plain[1].weights is None
    assert fitted[1] is not None
    assert fitted[1].weights is not None
    assert fitted[1].classes == FER2013_CLASSES
    assert "blend" not in plain[2]
    assert fitted[2]["blend"].keys() == {"fer2013", "ferplus", "everyday"}
    for figures in fitted[2]["blend"].values():
        assert figures.keys() == {*Scores.__dataclass_fields__, "n", "gap"}
        assert abs(figures["gap"]) < 0.5


def test_too_few_everyday_faces_keep_the_shares():
    bundle = fake_bundle(drawn_faces(140, seed=0, votes=True))
    validation = drawn_faces(70, seed=1, votes=True)
    blend = calibrate(bundle.encoder, bundle.index, validation, blend=bundle.blend, everyday=drawn_faces(5, seed=2))[1]
    assert blend is not None
    assert blend.weights is None
