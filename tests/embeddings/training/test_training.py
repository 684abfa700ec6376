"""Tests of embeddings/training/fit.py and backup.py: what a training leaves, and that a killed one goes on exactly."""

import json
import shutil
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.data.labels import targets_from_labels
from moodspace.embeddings.training import trained
from moodspace.embeddings.training.callbacks import Validation
from moodspace.embeddings.training.fit import FaceTargets, train_encoder
from moodspace.embeddings.training.recipe import recipe_for
from moodspace.embeddings.training.trained import TrainingError, load_encoder
from moodspace.embeddings.training.training_folder import read_log

# Small enough to train in a second, with all that has a state of its own: normalisation, dropout, augmentation, mixing.
TINY = {"batch": 8, "dim": 8, "epochs": 3, "warmup": 1.0, "ema": 0.7, "learning_rate": 0.01, "mixup_share": 0.5}


class KilledError(Exception):
    """Stands for the process's end."""


def small_network():
    faces = keras.Input((SIZE, SIZE, 1))
    x = layers.Rescaling(1 / 127.5, -1)(faces)
    x = layers.Conv2D(6, 5, 4, use_bias=False)(x)
    x = layers.Activation("relu")(layers.BatchNormalization()(x))
    x = layers.Dropout(0.2)(layers.Flatten()(layers.MaxPooling2D()(x)))
    return keras.Model(faces, x)


@pytest.fixture(autouse=True)
def small_backbone(monkeypatch):
    """Puts a small network where the recipe names "vgg", whose real one takes seconds a step."""
    monkeypatch.setitem(trained.BACKBONES, "vgg", small_network)


@pytest.fixture(scope="module")
def faces(drawn):
    return drawn(42, 1, votes=True), drawn(21, 2, votes=True)


def tiny(**changes):
    return recipe_for("vgg", **{**TINY, "optimizer": "adamw", "triplet_weight": 0.1, **changes})


def weights_in(file: Path):
    """Every number of a weights file, by its place in the file."""
    import h5py

    found = {}
    with h5py.File(file) as content:
        content.visititems(lambda name, item: found.update({name: item[()]} if isinstance(item, h5py.Dataset) else {}))
    return found


def assert_same(left: Path, right: Path):
    one, other = weights_in(left), weights_in(right)
    assert one.keys() == other.keys()
    assert len(one) > 5
    for name, value in one.items():
        np.testing.assert_array_equal(value, other[name], name)


def measured(folder: Path):
    return [{name: v for name, v in row.items() if name != "seconds"} for row in read_log(folder / "log.csv")]


def test_a_training_leaves_its_description_its_log_and_its_best_weights(tmp_path, faces):
    train, validation = faces
    seen = []
    before = keras.config.dtype_policy().name
    train_encoder(train, validation, tiny(epochs=2), tmp_path, data_hash="d", report=lambda *told: seen.append(told))
    assert keras.config.dtype_policy().name == before
    kept = json.loads((tmp_path / "training.json").read_text())
    assert kept["recipe"] == tiny(epochs=2).to_json()
    assert kept["data"] == "d"
    assert {name: tuple(names) for name, names in kept["classes"].items()} == train.classes
    log = read_log(tmp_path / "log.csv")
    assert [(epoch, row) for epoch, row in seen] == list(enumerate(log))
    assert [row["epoch"] for row in log] == [1, 2]
    assert all(np.isfinite(list(row.values())).all() for row in log)
    encoder = load_encoder(tmp_path)
    out = encoder.predict(validation.crops[..., None], verbose=0)
    best = max(log, key=lambda row: row["val_accuracy"])
    for name, targets in validation.targets.items():
        known = targets.labels >= 0
        right = out[name].argmax(axis=1)[known] == targets.labels[known]
        assert best[f"val_{name}_accuracy"] == pytest.approx(right.mean(), abs=1e-5)


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    return tmp_path_factory.mktemp("uninterrupted")


@pytest.mark.parametrize(("optimizer", "moment"), [("adamw", "measured"), ("adamw", "saved"), ("sgd", "saved")])
def test_a_killed_training_goes_on_exactly(tmp_path, faces, uninterrupted, monkeypatch, optimizer, moment):
    whole, killed, recipe = uninterrupted / optimizer, tmp_path / "killed", tiny(optimizer=optimizer)
    if not whole.exists():
        train_encoder(*faces, recipe, whole)

    def kill(at):
        if at == 1:
            raise KilledError

    with pytest.raises(KilledError), monkeypatch.context() as patch:
        if moment == "saved":
            patch.setattr(Validation, "on_epoch_begin", lambda _, epoch, logs=None: kill(epoch))
        train_encoder(*faces, recipe, killed, report=(lambda epoch, _: kill(epoch)) if moment == "measured" else None)
    redone = []
    train_encoder(*faces, recipe, killed, resume=True, report=lambda epoch, _: redone.append(epoch))
    assert redone == [1, 2]
    assert measured(killed) == measured(whole)
    assert_same(whole / "best.weights.h5", killed / "best.weights.h5")
    assert_same(whole / "backup" / "latest.weights.h5", killed / "backup" / "latest.weights.h5")


@pytest.fixture(scope="module")
def finished(tmp_path_factory, drawn):
    """A finished training of one epoch; tests copy what they change."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(trained.BACKBONES, "vgg", small_network)
        folder = tmp_path_factory.mktemp("finished")
        train_encoder(drawn(42, 1), drawn(21, 2), tiny(epochs=1), folder, data_hash="d")
    return folder


def contents(folder):
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize(
    ("changes", "given", "message"),
    [
        ({}, {"data_hash": "d"}, "expected no training, got one; resume it with --resume or name another --out"),
        (
            {"margin": 0.3},
            {"data_hash": "d", "resume": True},
            "expected the recipe and data that this training",
        ),
        (
            {"epochs": 2},
            {"data_hash": "d", "resume": True},
            "expected the recipe and data that this training",
        ),
        (
            {},
            {"data_hash": "e", "resume": True},
            "expected the recipe and data that this training",
        ),
    ],
)
def test_a_folder_of_another_training_is_refused_and_left_alone(finished, drawn, changes, given, message):
    before = contents(finished)
    with pytest.raises(TrainingError, match=message):
        train_encoder(drawn(42, 1), drawn(21, 2), tiny(**{"epochs": 1, **changes}), finished, **given)
    assert contents(finished) == before


def test_resuming_a_finished_training_changes_nothing(finished, drawn):
    before = contents(finished)
    train_encoder(drawn(42, 1), drawn(21, 2), tiny(epochs=1), finished, data_hash="d", resume=True, report=pytest.fail)
    assert contents(finished) == before


def test_a_damaged_backup_is_refused_in_one_line(finished, drawn, tmp_path):
    copy = shutil.copytree(finished, tmp_path / "copy")
    (copy / "backup" / "latest.weights.h5").write_bytes(b"damaged")
    with pytest.raises(ValueError, match="expected the backup of this training") as refusal:
        train_encoder(drawn(42, 1), drawn(21, 2), tiny(epochs=1), copy, data_hash="d", resume=True)
    assert "\n" not in str(refusal.value)


def test_a_start_that_fails_leaves_no_training_behind(drawn, tmp_path):
    recipe = recipe_for("mobilenet_v2", init=str(tmp_path / "missing.weights.h5"))
    with pytest.raises(ValueError, match="init: expected"):
        train_encoder(drawn(14, 1), drawn(14, 2), recipe, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_faces_that_cannot_be_trained_with_are_refused(drawn, tmp_path):
    train, validation = drawn(14, 1), drawn(14, 2)
    empty = FaceTargets(
        train.crops[:0], {"fer2013": targets_from_labels(np.zeros(0, np.int64), train.classes["fer2013"])}
    )
    unlabelled = FaceTargets(train.crops, {"fer2013": targets_from_labels(np.full(14, -1), train.classes["fer2013"])})
    for faces, message in [
        ((empty, validation), "train: expected at least one face, got none"),
        ((train, unlabelled), "validation: expected faces with a label in 'fer2013', got none"),
        ((train, drawn(14, 2, votes=True)), "validation: expected the classes"),
    ]:
        with pytest.raises(TrainingError, match=message):
            train_encoder(*faces, tiny(), tmp_path / "out")


def test_patience_stops_the_training_and_a_resumed_one_stays_stopped(drawn, tmp_path, monkeypatch):
    accuracies = iter([0.5, 0.4, 0.3])
    monkeypatch.setattr(Validation, "measure", lambda _: {"val_accuracy": next(accuracies), "spread": 1.0})
    faces, recipe = (drawn(16, 1), drawn(14, 2)), tiny(epochs=9, patience=2)
    train_encoder(*faces, recipe, tmp_path)
    assert len(read_log(tmp_path / "log.csv")) == 3
    train_encoder(*faces, recipe, tmp_path, resume=True, report=pytest.fail)


def test_what_is_kept_is_the_average_of_the_weights(drawn, tmp_path, monkeypatch):
    """With one step an epoch the average is w1, then 0.7 w1 + 0.3 w2."""
    accuracies = iter([0.1, 0.1, 0.2])
    monkeypatch.setattr(Validation, "measure", lambda _: {"val_accuracy": next(accuracies), "spread": 1.0})
    faces = drawn(8, 1), drawn(14, 2)
    for epochs in (1, 2):
        recipe = tiny(epochs=epochs, optimizer="adam", ema=0.7)
        train_encoder(*faces, recipe, tmp_path / str(epochs))
    first, second = (weights_of_projection(tmp_path / epochs / "backup" / "latest.weights.h5") for epochs in "12")
    kept = weights_of_projection(tmp_path / "2" / "best.weights.h5")
    assert np.abs(second - first).max() > 1e-3
    np.testing.assert_allclose(kept, 0.7 * first + 0.3 * second, atol=1e-6)


def weights_of_projection(file):
    """The one `(features, 8)` matrix of the model itself, not of the optimizer."""
    (found,) = (
        value
        for name, value in weights_in(file).items()
        if "optimizer" not in name and value.ndim == 2 and value.shape[1] == TINY["dim"]
    )
    return found


def test_a_student_learns_from_a_finished_training(finished, drawn, tmp_path):
    faces, recipe = (drawn(42, 1), drawn(21, 2)), tiny(epochs=1, distill_weight=0.7)
    kept = contents(finished)
    train_encoder(*faces, recipe, tmp_path / "taught", teachers=[finished])
    train_encoder(*faces, tiny(epochs=1), tmp_path / "alone")
    taught, alone = (read_log(tmp_path / name / "log.csv")[0] for name in ("taught", "alone"))
    assert taught["loss"] != alone["loss"]
    assert contents(finished) == kept
    student = load_encoder(tmp_path / "taught")
    assert student.count_params() == load_encoder(finished).count_params()
    with pytest.raises(TrainingError, match="expected the recipe and data that this training"):
        train_encoder(*faces, tiny(epochs=1), tmp_path / "taught", resume=True)


def test_a_teacher_of_other_classes_or_none_is_refused(finished, drawn, tmp_path):
    train, validation = drawn(14, 1), drawn(14, 2)
    turned = tuple(reversed(train.classes["fer2013"]))
    swapped = [
        FaceTargets(part.crops, {"fer2013": targets_from_labels(6 - part.targets["fer2013"].labels, turned)})
        for part in (train, validation)
    ]
    recipe = tiny(epochs=1, distill_weight=0.7)
    with pytest.raises(TrainingError, match="expected a teacher of the classes"):
        train_encoder(*swapped, recipe, tmp_path / "out", teachers=[finished])
    with pytest.raises(TrainingError, match="expected the weights of a finished training"):
        train_encoder(train, validation, recipe, tmp_path / "out", teachers=[tmp_path])
    with pytest.raises(TrainingError, match=r"expected training\.json and best\.weights\.h5"):
        load_encoder(tmp_path)


@pytest.mark.parametrize(("weight", "teachers"), [(0.5, []), (0.0, ["teacher"])])
def test_teachers_and_their_weight_go_together(weight, teachers, tmp_path):
    faces = FaceTargets(np.zeros((4, 48, 48), np.uint8), {"first": targets_from_labels(np.arange(4) % 2, ("a", "b"))})
    recipe = recipe_for("cnn", epochs=1, distill_weight=weight)
    with pytest.raises(TrainingError, match="teachers: expected some with a distill_weight above 0, or neither"):
        train_encoder(faces, faces, recipe, tmp_path / "run", teachers=[tmp_path / name for name in teachers])
    assert not (tmp_path / "run").exists()
