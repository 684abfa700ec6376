"""Tests of embeddings/training/export.py: what LiteRT computes is what Keras computed, nearly so with 8 bits."""

import keras
import numpy as np
import pytest
from keras import layers

from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.encoder import LiteRTEncoder
from moodspace.embeddings.training.export import ExportError, differences, export_encoder
from moodspace.embeddings.training.network import build_encoder
from tests.drawn_faces import drawn_faces

CLASSES = {"fer2013": ("a", "b", "c"), "ferplus": ("a", "b")}


@pytest.fixture(scope="module")
def network():
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIZE, SIZE, 1), name="crops")
    x = layers.Rescaling(1 / 127.5, -1)(layers.Resizing(32, 32)(inputs))
    for _ in range(2):
        x = layers.ReLU(6)(layers.BatchNormalization()(layers.Conv2D(64, 3, strides=2, use_bias=False)(x)))
    return build_encoder(keras.Model(inputs, layers.GlobalAveragePooling2D()(x)), CLASSES, dim=16)


@pytest.fixture(scope="module")
def float16(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("float16") / "encoder.tflite"
    export_encoder(network, path)
    return path


@pytest.fixture(scope="module")
def int8(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("int8") / "encoder.tflite"
    export_encoder(network, path, int8_faces=drawn_faces(30, seed=1).crops)
    return path


def test_half_precision_is_the_same_function(network, float16):
    apart = differences(network, LiteRTEncoder(float16, CLASSES, flip=False), drawn_faces(20, seed=2).crops)
    assert apart.shape == (20,) and apart.dtype == np.float32
    assert 0 < apart.max() < 0.002


def test_8_bits_are_nearly_the_same_function_in_a_smaller_file(network, float16, int8):
    assert int8.stat().st_size < 0.8 * float16.stat().st_size
    apart = differences(network, LiteRTEncoder(int8, CLASSES, flip=False), drawn_faces(20, seed=2).crops)
    assert apart.mean() < 0.02
    assert apart.max() > 0.0005, "as near as half precision: nothing was quantised"


def test_8_bits_take_any_number_of_faces_and_give_unit_rows(int8):
    crops = drawn_faces(11, seed=3).crops
    encoder = LiteRTEncoder(int8, CLASSES, flip=True)
    whole = encoder.encode(crops)
    np.testing.assert_allclose(np.linalg.norm(whole.embeddings, axis=1), 1, atol=1e-5)
    one = encoder.encode(crops[3:4])
    np.testing.assert_allclose(one.logits["fer2013"][0], whole.logits["fer2013"][3], atol=1e-4)
    assert len(encoder.encode(crops[:0])) == 0


def test_ranges_are_those_of_the_faces(network, int8, tmp_path):
    """Ranges that were found on black pictures alone are wrong for faces."""
    export_encoder(network, tmp_path / "black.tflite", int8_faces=np.zeros((3, SIZE, SIZE), np.uint8))
    black, faces = (
        differences(network, LiteRTEncoder(path, CLASSES, flip=False), drawn_faces(20, seed=2).crops).mean()
        for path in (tmp_path / "black.tflite", int8)
    )
    assert black > 3 * faces


def test_differences_are_those_of_the_worst_probability(network, float16):
    exported, crops = LiteRTEncoder(float16, CLASSES, flip=False), drawn_faces(4, seed=2).crops
    network.get_layer("ferplus").bias.assign([20.0, 0.0])
    try:
        apart = differences(network, exported, crops)
    finally:
        network.get_layer("ferplus").bias.assign([0.0, 0.0])
    logits = exported.encode(crops).logits["ferplus"]
    np.testing.assert_allclose(apart, 1 / (1 + np.exp(logits[:, 0] - logits[:, 1])), atol=0.01)


def test_8_bits_need_faces(network, tmp_path):
    with pytest.raises(ExportError, match="expected at least one face"):
        export_encoder(network, tmp_path / "none.tflite", int8_faces=np.zeros((0, SIZE, SIZE), np.uint8))
    assert not (tmp_path / "none.tflite").exists()


def test_another_backend_is_refused(network, tmp_path, monkeypatch):
    monkeypatch.setattr(keras.backend, "backend", lambda: "jax")
    with pytest.raises(ExportError, match="got jax; the weights are kept"):
        export_encoder(network, tmp_path / "none.tflite")


def test_no_room_for_temporary_files_is_told_in_a_line(network, tmp_path, monkeypatch):
    import tensorflow as tf

    def full(*_, **__):
        raise tf.errors.ResourceExhaustedError(None, None, "{{node}} part-00000; No space left on device [Op:SaveV2]")

    monkeypatch.setattr(network, "export", full)
    with pytest.raises(
        ExportError, match=r"to write the network .*, got: part-00000; No space left on device; .*--finish"
    ):
        export_encoder(network, tmp_path / "a.tflite")
