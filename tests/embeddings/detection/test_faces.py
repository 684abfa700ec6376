"""Faces are checked where they are made."""

import numpy as np
import numpy.typing as npt
import pytest

from moodspace.embeddings.detection.faces import Faces
from tests.realtime.fakes import faces_at

XYWH = np.zeros((2, 4), np.float32)
LANDMARKS = np.zeros((2, 5, 2), np.float32)
CONFIDENCE = np.ones(2, np.float32)


def test_no_faces_are_legal() -> None:
    none = Faces.empty()
    assert len(none) == 0
    assert (none.xywh.shape, none.landmarks.shape) == ((0, 4), (0, 5, 2))


@pytest.mark.parametrize("rows", [[1], np.array([False, True]), slice(1, 2)])
def test_take_gives_the_rows(rows: slice) -> None:
    taken = faces_at((0, 0, 10, 10), (5, 6, 7, 8)).take(rows)
    assert taken.xywh.tolist() == [[5, 6, 7, 8]]
    assert len(taken.landmarks) == len(taken.confidence) == 1


@pytest.mark.parametrize(
    ("name", "xywh", "landmarks", "confidence"),
    [
        ("xywh", XYWH[:1], LANDMARKS, CONFIDENCE),
        ("xywh", XYWH.astype(np.float64), LANDMARKS, CONFIDENCE),
        ("landmarks", XYWH, LANDMARKS[:, :4], CONFIDENCE),
        ("confidence", XYWH, LANDMARKS, CONFIDENCE[:, None]),
        ("landmarks", XYWH, LANDMARKS + np.nan, CONFIDENCE),
        ("xywh", XYWH + np.inf, LANDMARKS, CONFIDENCE),
    ],
)
def test_other_arrays_are_refused(
    name: str, xywh: npt.NDArray[np.float32], landmarks: npt.NDArray[np.float32], confidence: npt.NDArray[np.float32]
) -> None:
    with pytest.raises(ValueError, match=f"^{name}: expected .* got "):
        Faces(xywh, landmarks, confidence)
