"""Tests of web/site/networks.py: networks that the browser can run give the same numbers."""

from pathlib import Path

import numpy as np
import pytest

from moodspace.embeddings.detection.conversion import convert_centerface
from moodspace.embeddings.detection.detectors import bundled_weights
from moodspace.embeddings.litert import Network
from moodspace.web.site.networks import pack, prepare_encoder
from tests.litert_networks import run


@pytest.fixture(scope="module")
def centerface() -> Network:
    return convert_centerface(bundled_weights())


@pytest.mark.parametrize("batch", [1, 3])
def test_a_prepared_encoder_gives_the_same_numbers(shipped: Path, batch: int) -> None:
    content = (shipped / "encoder.tflite").read_bytes()
    crops = np.random.default_rng(0).integers(0, 256, (batch, 48, 48, 1)).astype(np.float32)
    network = prepare_encoder(content)
    found = run(network.resized(batch=batch), crops=crops)
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], crops.shape)
    interpreter.allocate_tensors()
    wanted = interpreter.get_signature_runner()(crops=crops)
    assert found.keys() == wanted.keys()
    for name, values in wanted.items():
        np.testing.assert_allclose(found[name], values, atol=1e-5)


def test_packing_loses_nothing_and_halves_what_it_can(shipped: Path, centerface: Network) -> None:
    encoder = prepare_encoder((shipped / "encoder.tflite").read_bytes()).content
    for content, share in ((encoder, 1.0), (centerface.content, 0.55)):  # the encoder has 8-bit weights already
        packed = pack(content)
        assert packed.unpacked() == content
        assert len(packed.content) <= share * len(content)
