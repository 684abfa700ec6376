"""Tests of classifier/bundle/train.py: an exported network that is not the trained one is refused."""

import json
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from moodspace.classifier.bundle import train
from moodspace.classifier.bundle.build import default_blend
from moodspace.embeddings.crops import DEFAULT_GEOMETRY
from moodspace.embeddings.data.labelled import DataError, content_hash
from moodspace.embeddings.data.labels import FER2013_CLASSES, FERPLUS_CLASSES
from moodspace.embeddings.training.training_folder import WEIGHTS, training_folder
from tests.drawn_faces import drawn_faces

FEW_ASTRAY = np.float32([0.001] * 49 + [0.4])
ALL_ASTRAY = np.full(50, 0.1, np.float32)


class ExportError(ValueError):
    """Stands for that of embeddings/training/export.py, which would import TensorFlow."""


@pytest.fixture
def export(monkeypatch):
    """Exports nothing, and finds the two networks as far apart as it is told."""

    def run(apart, int8_faces):
        def differences(network, exported, compared):
            assert network == "whitened" and exported == ("encoder.tflite", {}, False) and compared is crops
            return apart

        exporting = SimpleNamespace(
            ExportError=ExportError, differences=differences, export_encoder=lambda network, path, int8_faces: None
        )
        monkeypatch.setitem(sys.modules, "moodspace.embeddings.training.export", exporting)
        monkeypatch.setitem(
            sys.modules, "moodspace.embeddings.training.trained", SimpleNamespace(load_encoder=lambda folder: None)
        )
        whitened = SimpleNamespace(whitened_encoder=lambda encoder, crops: "whitened")
        monkeypatch.setitem(sys.modules, "moodspace.embeddings.training.whitened", whitened)
        monkeypatch.setattr(
            "moodspace.embeddings.encoder.LiteRTEncoder", lambda path, classes, *, flip: (str(path), classes, flip)
        )
        crops = np.zeros((0, 48, 48), np.uint8)
        return train._export(Path("training"), Path("encoder.tflite"), {}, crops, crops, int8_faces)

    return run


def test_one_face_astray_is_too_many_at_half_precision(export):
    assert export(np.float32([0.001, 0.019]), None) == pytest.approx(0.019)
    with pytest.raises(ExportError, match=r"expected Keras and LiteRT to agree, got probabilities 0\.400 apart"):
        export(FEW_ASTRAY, None)


def test_8_bits_may_move_a_few_faces_but_not_all(export):
    faces = drawn_faces(3, seed=0).crops
    assert export(FEW_ASTRAY, faces) == pytest.approx(0.4)
    with pytest.raises(ExportError, match=r"got probabilities 0\.100 apart on average; export without --int8"):
        export(ALL_ASTRAY, faces)


def test_the_faces_to_find_ranges_on_are_drawn_by_seed():
    faces = drawn_faces(600, seed=1)
    drawn = train._draw(faces, 5)
    assert drawn.shape == (500, 48, 48)
    np.testing.assert_array_equal(drawn, train._draw(faces, 5))
    assert (drawn != train._draw(faces, 6)).any()
    assert len(train._draw(faces.take(slice(0, 20)), 5)) == 20


@pytest.mark.parametrize(
    ("classes", "name"),
    [
        ({"fer2013": ["happy", "sad"], "ferplus": ["happy"]}, "fer2013"),
        ({"office": ["happy"]}, "office"),
        ({"ferplus": ["happy"]}, None),
    ],
)
def test_a_training_that_is_gone_on_with_keeps_the_name_of_its_labels(tmp_path, classes, name):
    (tmp_path / "training.json").write_text(json.dumps({"classes": classes}))
    assert train._name_of_labels([tmp_path / "none", tmp_path]) == name
    assert train._name_of_labels([]) is None


CLASSES = {"fer2013": FER2013_CLASSES, "ferplus": FERPLUS_CLASSES}


class Steps(dict):
    """What each step of a training was given, by its name, in order."""

    def __call__(self, name, answer=None):
        def step(*args, **kwargs):
            self[name] = args, kwargs
            return answer

        return step


@pytest.fixture
def steps(monkeypatch):
    """Stand-ins for the steps of a training, which note what they are given."""
    steps = Steps()
    fit = SimpleNamespace(FaceTargets=lambda crops, targets: (crops, targets), train_encoder=steps("train"))
    monkeypatch.setitem(sys.modules, "moodspace.embeddings.training.fit", fit)
    trained = SimpleNamespace(merge_trainings=steps("merge"))
    monkeypatch.setitem(sys.modules, "moodspace.embeddings.training.trained", trained)
    monkeypatch.setattr(train, "prepare_keras", lambda: None)
    described = {"classes": {name: list(names) for name, names in CLASSES.items()}, "recipe": {"seed": 5}, "epochs": 3}
    monkeypatch.setattr(train, "describe_training", steps("describe", described))
    monkeypatch.setattr(train, "_export", steps("export", 0.011))
    monkeypatch.setattr(train, "build_bundle", steps("build", {"figures": True}))
    return steps


def test_a_training_is_exported_and_built_into_a_bundle(steps, tmp_path):
    learned, held_out = drawn_faces(30, seed=0, votes=True), drawn_faces(20, seed=1, votes=True)
    stages, ended, report = [], [], object()

    def progress(stage):
        stages.append(stage)
        return lambda done, total: ended.append((done, total))

    figures = train.train_bundle(
        tmp_path / "mood", learned, held_out, "recipe", teachers=[tmp_path / "teacher"], resume=True, report=report,
        flip=False, progress=progress,
    )  # fmt: skip
    assert figures == {"figures": True} and list(steps) == ["train", "describe", "export", "build"]
    folder = training_folder(tmp_path / "mood")
    ((crops, targets), (other_crops, other_targets), recipe, where), rest = steps["train"]
    assert crops is learned.crops and other_crops is held_out.crops and (recipe, where) == ("recipe", folder)
    assert targets.keys() == other_targets.keys() == CLASSES.keys()
    np.testing.assert_array_equal(other_targets["fer2013"].labels, held_out.labels)
    assert rest == {
        "teachers": [tmp_path / "teacher"], "data_hash": content_hash(learned), "resume": True, "report": report,
    }  # fmt: skip
    (where, exported, classes, train_crops, crops, int8_faces), _ = steps["export"]
    assert (where, exported.name, classes) == (folder, "encoder.tflite", CLASSES)
    assert train_crops is learned.crops and len(crops) == 20 and int8_faces is None
    (path,), built = steps["build"]
    assert path == tmp_path / "mood" and built.pop("train") is learned and built.pop("validation") is held_out
    assert built.pop("geometry") is DEFAULT_GEOMETRY and built.pop("progress") is progress
    training = built.pop("training")
    assert (training["epochs"], training["export_precision"], training["export_difference"]) == (3, "float16", 0.011)
    assert built == {
        "encoder": exported, "classes": CLASSES, "flip": False, "blend": default_blend(CLASSES),
        "weights": folder / WEIGHTS, "everyday": None,
    }  # fmt: skip
    assert stages == ["export"] and ended == [(1, 1)]


def test_trainings_are_merged_or_finished_without_training(steps, tmp_path):
    learned, held_out = drawn_faces(30, seed=0), drawn_faces(600, seed=1)
    train.train_bundle(tmp_path / "a", learned, held_out, "recipe", merge=[tmp_path], int8=True, keep_weights=False)
    assert list(steps) == ["merge", "describe", "export", "build"]
    (merged, where, crops), rest = steps["merge"]
    assert (merged, where, rest) == ([tmp_path], training_folder(tmp_path / "a"), {"data_hash": content_hash(learned)})
    assert crops is learned.crops
    assert steps["build"][1]["weights"] is None and steps["build"][1]["training"]["export_precision"] == "int8"
    # 8 bits find their ranges on faces drawn by the training's seed; both networks are compared on some faces.
    np.testing.assert_array_equal(steps["export"][0][5], train._draw(learned, 5))
    assert len(steps["export"][0][4]) == 500
    steps.clear()
    train.train_bundle(tmp_path / "b", learned, held_out, "recipe", finish=True)
    assert list(steps) == ["describe", "export", "build"]


def test_only_the_label_sets_asked_for_are_learned(steps, tmp_path):
    faces = drawn_faces(30, seed=0, votes=True)
    train.train_bundle(tmp_path / "a", faces, faces, "recipe", labels=["ferplus"])
    assert list(steps["train"][0][0][1]) == list(steps["train"][0][1][1]) == ["ferplus"]
    with pytest.raises(DataError, match="labels: expected some of fer2013, ferplus, got 'office'"):
        train.train_bundle(tmp_path / "b", faces, faces, "recipe", labels=["office"])
