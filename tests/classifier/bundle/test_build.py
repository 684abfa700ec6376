"""Tests of classifier/bundle/build.py: calibrations, and the blend fitted on everyday faces."""

import numpy as np

from moodspace.classifier.bundle import build
from moodspace.classifier.bundle.build import build_bundle, calibrate, default_blend
from moodspace.classifier.metrics import Scores
from moodspace.classifier.taught_scores import Whitening, fit_gate
from moodspace.embeddings.crops import DEFAULT_GEOMETRY
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


def test_a_bundle_is_built_of_the_gallery_and_what_was_fitted_without_it(tmp_path, monkeypatch):
    train, validation = drawn_faces(140, seed=0, votes=True), drawn_faces(70, seed=1, votes=True)
    known = fake_bundle(train)
    opened, saved, stages = [], {}, []

    def open_encoder(path, classes, *, flip):
        opened.append((path, classes, flip))
        return known.encoder

    monkeypatch.setattr(build, "LiteRTEncoder", open_encoder)
    monkeypatch.setattr(build, "save_bundle", lambda path, **parts: saved.update(parts, path=path))
    figures = build_bundle(
        tmp_path, encoder=tmp_path / "network.tflite", classes=known.classes, train=train, validation=validation,
        geometry=DEFAULT_GEOMETRY, flip=True, training={"epochs": 3}, blend=default_blend(known.classes),
        weights=tmp_path / "weights", progress=lambda stage: stages.append(stage),
    )  # fmt: skip
    assert opened == [(tmp_path / "network.tflite", known.classes, True)] and stages == ["index", "calibrate"]
    gallery, mine = saved.pop("gallery"), known.index.gallery
    np.testing.assert_allclose(gallery.embeddings, mine.embeddings, atol=1e-3)
    assert gallery.ids.tolist() == mine.ids.tolist() and gallery.sources.tolist() == mine.sources.tolist()
    assert gallery.sources.dtype.kind == "U" and gallery.ids.dtype == np.int64
    for name in known.classes:
        np.testing.assert_array_equal(gallery.labels[name], mine.labels[name])
    assert gallery.added.dtype == np.float64 and len(set(gallery.added)) == 1 and gallery.added[0] > 1.7e9
    fitted = calibrate(known.encoder, known.index, validation, blend=default_blend(known.classes))
    white = Whitening.fit(gallery.embeddings)
    assert saved.pop("gate") == fit_gate(known.encoder, white, validation.crops)
    assert saved.pop("blend") == fitted[1] and saved.pop("calibrations") == fitted[0]
    assert figures == fitted[2] and saved.pop("metrics") == {"validation": figures}
    assert saved == {
        "path": tmp_path, "encoder": tmp_path / "network.tflite", "flip": True, "classes": known.classes,
        "default_labels": "blend", "geometry": DEFAULT_GEOMETRY, "weights": tmp_path / "weights",
        "training": {"epochs": 3},
    }  # fmt: skip


def test_everyday_faces_count_by_class_and_the_threshold_is_fitted_to_all_scenes(monkeypatch):
    bundle = fake_bundle(drawn_faces(140, seed=0, votes=True))
    seen, fit, threshold = [], build.fit_mixture, []

    def fit_mixture(blend, classes, scenes):
        seen.append(scenes)
        return fit(blend, classes, scenes)

    def fit_unknown_threshold(proba, labels):
        threshold.append(len(labels))
        return 0.123

    monkeypatch.setattr(build, "fit_mixture", fit_mixture)
    monkeypatch.setattr(build, "fit_unknown_threshold", fit_unknown_threshold)
    validation, everyday = drawn_faces(70, seed=1, votes=True), drawn_faces(42, seed=2)
    fitted = calibrate(bundle.encoder, bundle.index, validation, blend=bundle.blend, everyday=everyday)[1]
    assert fitted is not None and fitted.unknown_below == 0.123
    assert [(scene.weight, scene.balanced) for scene in seen[0]] == [(1.5, False), (1.0, False), (1.0, True)]
    assert threshold[-1] == sum(int((scene.labels >= 0).sum()) for scene in seen[0])


def test_one_validation_face_has_a_calibration_and_no_figures():
    bundle = fake_bundle(drawn_faces(140, seed=0))
    calibrations, _, figures = calibrate(bundle.encoder, bundle.index, drawn_faces(1, seed=1))
    assert calibrations.keys() == figures.keys() == {"fer2013"} and figures["fer2013"] is None
