"""Tiles are checked with a detector that sees marks in a picture, so that every expected box is known."""

import itertools

import cv2
import numpy as np
import pytest

from moodspace.arrays import ByteArray
from moodspace.embeddings.detection.faces import Faces
from moodspace.embeddings.detection.tiles import (
    LEAST_SEEN,
    OVERLAP,
    TILE,
    level_scales,
    look_in_tiles,
    spans,
    without_duplicates,
)
from tests.realtime.fakes import faces_at


def marks(tile: ByteArray) -> Faces:
    """Find white rectangles, cut ones too, as a detector finds faces."""
    count, _, stats, _ = cv2.connectedComponentsWithStats((tile[..., 0] > 127).astype(np.uint8))
    return faces_at(*stats[1:count, :4].astype(float).tolist())


def picture(width: int, height: int, *xywh: tuple[int, int, int, int]) -> ByteArray:
    frame = np.zeros((height, width, 3), np.uint8)
    for left, top, w, h in xywh:
        frame[top : top + h, left : left + w] = 255
    return frame


def seen(frame: ByteArray, shrink: float) -> Faces:
    passes = list(look_in_tiles(frame, marks, shrink))
    return without_duplicates(
        Faces(*(np.concatenate([getattr(one, name) for one in passes]) for name in Faces.__slots__))
    )


@pytest.mark.parametrize("side", [1, 639, 640, 641, 1000, 1184, 1185, 4743, 6857])
def test_tiles_cover_a_side_and_overlap(side: int) -> None:
    found = spans(side)
    assert found[0][0] == 0
    assert found[-1][1] == side
    assert max(end - begin for begin, end in found) <= TILE
    assert len({end - begin for begin, end in found}) == 1
    for (_, end), (begin, _) in itertools.pairwise(found):
        assert end - begin >= OVERLAP


def test_levels_reach_from_the_smallest_face_to_the_whole_picture() -> None:
    for longest in (1280, 2000, 4000, 6000, 8000, 12000, 30000):
        levels = level_scales(longest, 640 / longest, 40.0)
        assert levels[0] * LEAST_SEEN == pytest.approx(40)
        coarser = [*levels[1:], longest / 640]
        assert all(88 * fine / coarse >= 0.95 * LEAST_SEEN for fine, coarse in zip(levels, coarser, strict=True))
    assert level_scales(1000, 0.64, 40.0) == []
    assert level_scales(300, 2.13, 40.0) == []


@pytest.mark.parametrize("shrink", [1.0, 40 / 23, 7.0])
def test_a_face_at_any_place_is_found_once_and_whole(shrink: float) -> None:
    side = round(60 * shrink)
    width, height = round(1500 * shrink), round(700 * shrink)
    for step in range(15):
        left, top = round((450 + 14 * step) * shrink), round((40 * step) * shrink)
        box = left, top, side, min(side, height - top)
        faces = seen(picture(width, height, box), shrink)
        assert len(faces) == 1
        np.testing.assert_allclose(faces.xywh[0], box, atol=1.5 * shrink)
        landmarks = faces_at(box).landmarks - 0.5
        np.testing.assert_allclose(faces.landmarks[0], landmarks[0], atol=1.5 * shrink)


def test_faces_at_the_edges_of_the_picture_are_kept() -> None:
    corners = [(0, 0, 50, 60), (1450, 0, 50, 60), (0, 940, 50, 60), (1450, 940, 50, 60)]
    assert len(seen(picture(1500, 1000, *corners), 1.0)) == 4


def test_a_face_larger_than_the_overlap_is_left_to_a_coarser_level() -> None:
    assert len(seen(picture(1500, 1000, (500, 300, 200, 240)), 1.0)) == 0
    assert len(seen(picture(1500, 1000, (500, 300, 200, 240)), 4.0)) == 1


@pytest.mark.parametrize("shape", [(1, 5000), (5000, 1), (3, 3000), (700, 701)])
def test_pictures_of_any_shape_are_looked_at(shape: tuple[int, int]) -> None:
    for shrink in (1.0, 1.7, 28.0):
        assert len(seen(np.zeros((*shape, 3), np.uint8), shrink)) == 0


def test_a_part_of_a_face_is_not_another_face() -> None:
    whole, cut, beside, far = (100, 100, 80, 100), (100, 100, 40, 55), (190, 100, 80, 100), (400, 100, 80, 100)
    kept = without_duplicates(faces_at(cut, whole, beside, far))
    assert sorted(kept.xywh[:, 0].tolist()) == [100, 190, 400]
    assert (kept.xywh[:, 2] == 80).all()


def test_a_small_face_before_a_huge_one_is_a_face_of_its_own() -> None:
    assert len(without_duplicates(faces_at((0, 0, 1000, 1200), (400, 600, 50, 60)))) == 2


def test_of_boxes_that_overlap_the_surest_is_kept_and_order_is_by_confidence() -> None:
    faces = faces_at((0, 0, 50, 60), (300, 0, 50, 60), (4, 4, 50, 60))
    kept = without_duplicates(Faces(faces.xywh, faces.landmarks, np.array([0.5, 0.6, 0.9], np.float32)))
    assert kept.xywh[:, 0].tolist() == [4, 300]
    assert len(without_duplicates(Faces.empty())) == 0
