"""Tests of embeddings/training/validation.py: the figures of an epoch, the best weights, collapse and patience."""

import logging
import math

import keras
import numpy as np
import pytest
from keras import layers, ops

from moodspace.embeddings.data.labels import Targets, targets_from_labels
from moodspace.embeddings.encoder import EMBEDDING
from moodspace.embeddings.training.callbacks import Validation, recall_at_1, spread
from moodspace.embeddings.training.training_folder import read_log

CLASSES = ("a", "b", "c")


class Told(keras.Model):
    """Read its logits off the first pixels, so that what is right and wrong is written in the picture."""

    def call(self, faces):
        logits = ops.log(ops.cast(faces[:, 0, :3, 0], "float32") / 100)
        return {EMBEDDING: ops.one_hot(ops.argmax(logits, axis=-1), 3), "first": logits, "second": -logits}


def pictures(shares):
    crops = np.zeros((len(shares), 48, 48), np.uint8)
    crops[:, 0, :3] = shares
    return crops


def test_accuracy_and_cross_entropy_of_each_label_set(tmp_path):
    crops = pictures([[70, 20, 10], [20, 70, 10], [10, 20, 70], [70, 20, 10]])
    first = targets_from_labels(np.array([0, 1, 0, -1]), CLASSES)
    # "second" has its logits turned round; a tie has no label.
    second = Targets(CLASSES, np.array([[0, 0, 1], [0, 0, 1], [0.5, 0.5, 0], [0, 1, 0]], np.float32))
    row = Validation(Told(), crops, {"first": first, "second": second}, tmp_path).measure()
    assert row["val_first_accuracy"] == pytest.approx(2 / 3)
    assert row["val_first_loss"] == pytest.approx(-(2 * math.log(0.7) + math.log(0.1)) / 3, rel=1e-5)
    assert row["val_second_accuracy"] == pytest.approx(2 / 3)
    assert row["val_accuracy"] == pytest.approx(2 / 3)
    inverse = 1 / 0.7 + 1 / 0.2 + 1 / 0.1
    assert row["val_second_loss"] == pytest.approx(
        -math.log(10 / inverse) * 2 / 3 - math.log(5 / inverse) / 3, rel=1e-5
    )


def test_the_spread_is_the_mean_distance_between_pairs():
    embeddings = np.array([[1, 0], [0, 1], [-1, 0]], np.float32)
    assert spread(embeddings) == pytest.approx((2 * math.sqrt(2) + 2) / 3)
    assert spread(np.repeat(embeddings[:1], 5, axis=0)) == 0
    assert spread(embeddings[:1]) == 0


@pytest.fixture
def epochs(tmp_path, monkeypatch):
    """Run epochs of told accuracies through a `Validation` of a model that has one weight."""
    faces = keras.Input((1,))
    model = keras.Model(faces, layers.Dense(1, use_bias=False)(faces))
    model.compile(keras.optimizers.SGD(0.1, use_ema=True), "mse")
    model.optimizer.build(model.trainable_variables)

    def run(accuracies, *, patience=0, spreads=None, first=0, report=None):
        validation = Validation(model, np.zeros((0, 48, 48), np.uint8), {}, tmp_path, patience, report)
        validation.set_model(model)
        validation.resume(first)
        model.stop_training = False
        for epoch, accuracy in enumerate(accuracies, first):
            width = spreads[epoch] if spreads else 1.0
            monkeypatch.setattr(validation, "measure", lambda a=accuracy, s=width: {"val_accuracy": a, "spread": s})
            model.layers[-1].set_weights([np.array([[epoch + 1.0]])])
            average = model.optimizer.variables[-1]
            average.assign([[10.0 * (epoch + 1)]])
            validation.on_epoch_begin(epoch)
            validation.on_epoch_end(epoch, {"loss": 0.5})
            assert float(model.layers[-1].get_weights()[0].item()) == epoch + 1
            assert float(average.numpy().item()) == 10.0 * (epoch + 1)
            if model.stop_training:
                break
        return validation

    run.model, run.folder = model, tmp_path
    return run


def best_weight(epochs):
    kept = epochs.model.get_weights()
    epochs.model.load_weights(epochs.folder / "best.weights.h5")
    best = float(epochs.model.get_weights()[0].item())
    epochs.model.set_weights(kept)
    return best


def test_the_best_average_is_kept_and_the_first_of_equals(epochs):
    epochs([0.2, 0.5, 0.3, 0.5])
    assert best_weight(epochs) == 20  # the average of the second epoch, not its weight


def test_the_log_has_a_row_for_each_epoch(epochs):
    epochs([0.2, 0.5])
    rows = read_log(epochs.folder / "log.csv")
    assert [(row["epoch"], row["val_accuracy"], row["loss"]) for row in rows] == [(1, 0.2, 0.5), (2, 0.5, 0.5)]
    assert rows[0]["learning_rate"] == pytest.approx(0.1)
    assert not list(epochs.folder.glob("new-*"))


@pytest.mark.parametrize(("patience", "ran"), [(0, 6), (2, 4), (5, 6)])
def test_the_training_stops_after_so_many_epochs_without_better(epochs, patience, ran):
    validation = epochs([0.3, 0.5, 0.5, 0.4, 0.2, 0.1], patience=patience)
    assert len(validation.rows) == ran
    assert validation.exhausted == (ran < 6)


def test_a_taken_up_log_drops_what_is_done_again_and_still_knows_the_best(epochs):
    epochs([0.1, 1 / 3, 0.2])
    epochs([1 / 3, 0.1], first=2)
    assert [row["epoch"] for row in read_log(epochs.folder / "log.csv")] == [1, 2, 3, 4]
    assert read_log(epochs.folder / "log.csv")[2]["val_accuracy"] == pytest.approx(1 / 3, abs=1e-6)
    # The same accuracy again is not better, though the file rounds it down.
    assert best_weight(epochs) == 20


def test_a_report_gets_the_row(epochs):
    seen = []
    epochs([0.25], report=lambda epoch, row: seen.append((epoch, row["val_accuracy"])))
    assert seen == [(0, 0.25)]


def test_a_collapse_is_reported(epochs, caplog):
    with caplog.at_level(logging.WARNING, "moodspace.embeddings.training.callbacks"):
        epochs([0.1, 0.2, 0.3], spreads=[0.8, 0.01, math.nan])
    assert [record.args[0] for record in caplog.records][:1] == [0.01]
    assert len(caplog.records) == 2
    assert "collapsing" in caplog.records[0].getMessage()


def test_recall_at_1_counts_faces_whose_nearest_other_face_has_their_label():
    embeddings = np.array([[1, 0], [0.99, 0.14], [0, 1], [0.14, 0.99], [-1, 0]], np.float32)
    assert recall_at_1(embeddings, np.array([0, 0, 1, 1, 0])) == pytest.approx(4 / 5)
    assert recall_at_1(embeddings, np.array([0, 1, 1, 0, -1])) == 0
    assert recall_at_1(embeddings, np.array([0, -1, -1, -1, -1])) == 0


def test_without_trained_heads_the_neighbours_choose_the_best_epoch(tmp_path):
    crops = pictures([[70, 20, 10], [60, 30, 10], [10, 70, 20], [20, 70, 10]])
    # The heads are wrong about every face; its nearest other face has its label.
    targets = {"first": targets_from_labels(np.array([1, 1, 2, 2]), CLASSES)}
    told = Validation(Told(), crops, targets, tmp_path).measure()
    assert told["val_accuracy"] == 0
    assert told["val_recall_at_1"] == 1
    assert Validation(Told(), crops, targets, tmp_path, heads=False).measure()["val_accuracy"] == 1
