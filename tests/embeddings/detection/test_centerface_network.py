"""The network runs at any size, keeps few sizes open, and is converted once for all detectors."""

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from moodspace.embeddings.detection import centerface_network
from moodspace.embeddings.detection.centerface_network import CenterFaceNetwork
from moodspace.embeddings.detection.conversion import OUTPUTS
from moodspace.embeddings.detection.detectors import bundled_weights


@pytest.fixture
def network() -> CenterFaceNetwork:
    return CenterFaceNetwork(bundled_weights(), threads=1)


def test_a_picture_of_any_size_is_padded_at_its_end(network: CenterFaceNetwork) -> None:
    picture = np.ascontiguousarray(cv2.resize(astronaut(), (90, 70))[..., ::-1])
    maps = network.maps(picture)
    assert [one.shape for one in maps] == [(1, channels, 24, 24) for channels in (1, 2, 2, 10)]
    net = cv2.dnn.readNetFromONNX(str(bundled_weights()), cv2.dnn.ENGINE_NEW)
    padded = cv2.copyMakeBorder(picture, 0, 26, 0, 6, cv2.BORDER_CONSTANT)
    net.setInput(cv2.dnn.blobFromImage(padded, swapRB=True))
    for found, wanted in zip(maps, net.forward(tuple(OUTPUTS)), strict=True):
        np.testing.assert_allclose(found, wanted, atol=1e-4)


def test_results_stay_when_the_size_changes(network: CenterFaceNetwork) -> None:
    small, large = np.full((32, 32, 3), 90, np.uint8), np.full((64, 96, 3), 90, np.uint8)
    first = network.maps(small)
    kept = [one.copy() for one in first]
    network.maps(large)
    for found, before, again in zip(first, kept, network.maps(small), strict=True):
        np.testing.assert_array_equal(found, before)
        np.testing.assert_array_equal(again, before)


def test_only_the_sizes_used_last_stay_open(network: CenterFaceNetwork) -> None:
    for side in (32, 64, 96, 32, 128):
        network.maps(np.zeros((side, 32, 3), np.uint8))
    assert list(network._opened) == [(96, 32), (32, 32), (128, 32)]


def test_detectors_share_one_conversion(network: CenterFaceNetwork, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(centerface_network, "convert_centerface", lambda model: pytest.fail("converted again"))
    assert CenterFaceNetwork(bundled_weights(), threads=1)._network is network._network
