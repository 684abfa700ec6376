"""Near copies are the same face, mirrored, moved or lit otherwise."""

import numpy as np

from moodspace.classifier.taught_scores import perturbations
from tests.drawn_faces import drawn_faces


def test_each_is_another_picture_of_the_same_shape() -> None:
    crops = drawn_faces(3, seed=0).crops
    copies = perturbations(crops)
    assert len(copies) == 14
    for name, copy in copies.items():
        assert (copy.shape, copy.dtype) == (crops.shape, np.uint8)
        assert (copy != crops).any(axis=(1, 2)).all(), name


def test_where_pixels_go() -> None:
    crops = np.zeros((1, 48, 48), np.uint8)
    crops[0, 20, 30] = 250
    copies = perturbations(crops)
    assert copies["flip"][0, 20, 17] == 250
    assert copies["shift 0 2"][0, 20, 32] == 250
    assert copies["shift -2 -2"][0, 18, 28] == 250
    assert copies["brightness +20"].max() == 255 and copies["brightness +20"].min() == 20
    assert copies["brightness -20"].max() == 230 and copies["brightness -20"].min() == 0


def test_the_edge_is_repeated() -> None:
    crops = np.zeros((1, 48, 48), np.uint8)
    crops[0, :, 0] = 100
    assert (perturbations(crops)["shift 0 2"][0, :, :3] == 100).all()


def test_no_faces_have_no_copies() -> None:
    assert all(len(copy) == 0 for copy in perturbations(np.zeros((0, 48, 48), np.uint8)).values())
