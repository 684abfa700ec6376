"""Tests of embeddings/training/network.py and backbones.py: outputs, the grey stem, mixing and teaching."""

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers, ops

from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.encoder import EMBEDDING
from moodspace.embeddings.training.augmentation import NO_AUGMENTATION, Augment
from moodspace.embeddings.training.losses import distillation
from moodspace.embeddings.training.network import (
    BACKBONES,
    Distill,
    Mixup,
    UnitLength,
    build_encoder,
    cnn,
    mobilenet_v2,
    training_model,
)
from tests.drawn_faces import drawn_faces

CLASSES = {"fer2013": ("a", "b", "c"), "ferplus": ("a", "b")}


def faces(n, seed=0):
    return drawn_faces(n, seed).crops[..., None].astype(np.float32)


def tiny_encoder(dim=4, classes=CLASSES):
    inputs = keras.Input((SIZE, SIZE, 1))
    x = layers.Flatten()(layers.AveragePooling2D(8)(layers.Rescaling(1 / 255)(inputs)))
    return build_encoder(keras.Model(inputs, x), classes, dim=dim)


def test_unit_length_divides_by_the_norm():
    rows = np.random.default_rng(0).normal(size=(5, 7)).astype(np.float32) * 30
    wanted = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    np.testing.assert_allclose(ops.convert_to_numpy(UnitLength()(rows)), wanted, atol=1e-6)


def test_a_row_of_zeros_stays_and_its_gradient_is_finite():
    rows = tf.Variable(np.zeros((2, 3), np.float32))
    with tf.GradientTape() as tape:
        out = UnitLength()(rows)
        value = tf.reduce_sum(out)
    assert not out.numpy().any()
    assert np.isfinite(tape.gradient(value, rows).numpy()).all()


def test_the_encoder_gives_a_unit_embedding_and_logits_for_each_label_set():
    encoder = tiny_encoder(dim=6)
    out = encoder.predict(faces(5), verbose=0)
    assert {name: value.shape for name, value in out.items()} == {
        EMBEDDING: (5, 6),
        "fer2013": (5, 3),
        "ferplus": (5, 2),
    }
    assert all(value.dtype == np.float32 for value in out.values())
    np.testing.assert_allclose(np.linalg.norm(out[EMBEDDING], axis=1), 1, atol=1e-5)
    # The heads read the neck, whose direction the embedding is.
    neck = keras.Model(encoder.input, encoder.get_layer("neck").output).predict(faces(5), verbose=0)
    np.testing.assert_allclose(neck / np.linalg.norm(neck, axis=1, keepdims=True), out[EMBEDDING], atol=1e-5)
    kernel, bias = encoder.get_layer("ferplus").get_weights()
    np.testing.assert_allclose(neck @ kernel + bias, out["ferplus"], atol=1e-4)


@pytest.mark.parametrize("classes", [{}, {EMBEDDING: ("a", "b")}])
def test_label_sets_without_a_usable_name_are_refused(classes):
    with pytest.raises(ValueError, match="classes: expected label sets by names other than 'embedding'"):
        tiny_encoder(classes=classes)


@pytest.mark.parametrize(("arch", "features"), [("cnn", 512), ("vgg", 512), ("resnet_se", 512)])
def test_the_networks_at_48_pixels_build_and_answer(arch, features):
    backbone = BACKBONES[arch]()
    assert backbone.input_shape == (None, SIZE, SIZE, 1)
    out = ops.convert_to_numpy(backbone(faces(2)))
    assert out.shape == (2, features)
    assert np.isfinite(out).all()
    assert not np.allclose(out[0], out[1])


@pytest.fixture(scope="module")
def rgb():
    """Keras's MobileNetV2 with random weights, normalised by what it sees of faces, as random ones lose the picture."""
    keras.utils.set_random_seed(3)
    model = keras.applications.MobileNetV2(input_shape=(96, 96, 3), include_top=False, weights=None)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.momentum = 0.0
    model(rgb_input(faces(16, 1)), training=True)
    return model


def rgb_input(pictures):
    return ops.image.resize(np.repeat(pictures, 3, axis=-1), (96, 96)) / 127.5 - 1


@pytest.fixture(scope="module")
def rgb_weights(rgb, tmp_path_factory):
    file = tmp_path_factory.mktemp("init") / "rgb.weights.h5"
    rgb.save_weights(file)
    return file


def test_the_grey_stem_is_the_rgb_network_on_a_grey_picture(rgb, rgb_weights):
    grey = mobilenet_v2(rgb_weights, pixels=96, dense_map=False)
    pictures = faces(3)
    wanted = ops.convert_to_numpy(rgb(rgb_input(pictures), training=False)).mean(axis=(1, 2))
    found = ops.convert_to_numpy(grey(pictures, training=False))
    np.testing.assert_allclose(found, wanted, atol=1e-3)
    assert np.ptp(wanted, axis=0).max() > 0.1  # the pictures are told apart at all


def test_the_dense_map_has_twice_the_side_and_the_same_weights(rgb_weights):
    dense, plain = (mobilenet_v2(rgb_weights, dense_map=dense_map) for dense_map in (True, False))
    sides = [next(x for x in net.layers if isinstance(x, keras.Model)).output_shape[1] for net in (dense, plain)]
    assert sides == [6, 3]
    for one, other in zip(dense.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


def test_a_missing_weights_file_is_refused(tmp_path):
    with pytest.raises(
        ValueError, match=r"^init: expected 'imagenet', 'none' or a Keras weights file, got no such file: .*\.$"
    ):
        mobilenet_v2(tmp_path / "none.weights.h5")


@pytest.mark.parametrize("kind", ["another network", "no weights", "another suffix"])
def test_a_foreign_weights_file_is_refused_in_one_line(tmp_path, kind):
    file = tmp_path / ("faces.txt" if kind == "another suffix" else "faces.weights.h5")
    if kind == "another network":
        cnn().save_weights(file)
    else:
        file.write_text("not weights")
    with pytest.raises(ValueError, match=r"^init: expected weights of MobileNetV2 in .*faces") as refusal:
        mobilenet_v2(file)
    assert "\n" not in str(refusal.value)


def test_mixup_blends_each_face_with_its_partner():
    pictures = faces(3)
    weight, partner = np.array([1.0, 0.75, 0.5], np.float32), np.array([2, 0, 1], np.int32)
    share = weight[:, None, None, None]
    wanted = share * pictures + (1 - share) * pictures[partner]
    np.testing.assert_allclose(ops.convert_to_numpy(Mixup()(pictures, partner, weight)), wanted, rtol=1e-5)


def test_distill_adds_the_loss_against_the_teachers_mean_and_passes_the_student_through():
    pictures, student = faces(4), tiny_encoder()
    teachers = [tiny_encoder(dim=3), tiny_encoder(classes={"fer2013": CLASSES["fer2013"]})]
    distill = Distill(teachers, weight=0.5, temperature=2.0)
    outputs = student(pictures)
    passed = distill(outputs, pictures)
    assert all(passed[name] is outputs[name] for name in outputs)
    lessons = [teacher(pictures, training=False) for teacher in teachers]
    mean = sum(ops.softmax(lesson["fer2013"] / 2) for lesson in lessons) / 2
    both = ops.mean(distillation(mean, outputs["fer2013"], 2.0))
    one = ops.mean(distillation(ops.softmax(lessons[0]["ferplus"] / 2), outputs["ferplus"], 2.0))
    assert float(sum(distill.losses)) == pytest.approx(float(0.5 * (both + one)), rel=1e-5)
    assert not distill.trainable_variables


def test_the_training_model_without_changes_is_the_encoder():
    encoder, crops = tiny_encoder(), drawn_faces(4, 0).crops
    model = training_model(encoder, Augment(NO_AUGMENTATION), None)
    inputs = {"crops": crops, "partner": np.arange(4, dtype=np.int32), "weight": np.ones(4, np.float32)}
    wanted, found = encoder(crops[..., None].astype(np.float32)), model(inputs)
    assert found.keys() == wanted.keys()
    for name, value in wanted.items():
        np.testing.assert_allclose(ops.convert_to_numpy(found[name]), ops.convert_to_numpy(value), atol=1e-4)
