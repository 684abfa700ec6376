"""The fairness benchmark changes what it says and nothing else, and counts false neutral faces."""

import numpy as np
import pytest

from benchmarks.robustness.fairness import CHANGES, Row, _row, skin, table

# Eyes, nose and mouth of a frontal face in a crop.
LANDMARKS = np.array([[16, 19], [32, 19], [24, 28], [18, 36], [30, 36]], np.float32)
FACE = np.random.default_rng(0).uniform(60, 200, (48, 48)).astype(np.float32)


def test_the_skin_has_no_eyes_no_mouth_and_no_background() -> None:
    mask = skin(LANDMARKS)
    assert mask.min() >= 0 and mask.max() <= 1
    assert mask[19, 16] < 0.3 and mask[19, 32] < 0.3 and mask[36, 24] < 0.3
    assert mask[0, 0] == mask[0, 47] == mask[24, 0] == 0
    assert mask[28, 18] > 0.9 and mask[28, 30] > 0.9


@pytest.mark.parametrize("name", [name for name in CHANGES if name.startswith("skin")])
def test_changes_of_the_skin_leave_the_rest(name: str) -> None:
    changed, outside = CHANGES[name](FACE, LANDMARKS), skin(LANDMARKS) == 0
    np.testing.assert_allclose(changed[outside], FACE[outside], rtol=1e-5)
    assert np.abs(changed - FACE)[skin(LANDMARKS) > 0.9].mean() > 5


def test_brightness_and_contrast_of_the_skin() -> None:
    inside = skin(LANDMARKS) > 0.99
    dark = CHANGES["skin, 50 % of the brightness"](FACE, LANDMARKS)
    np.testing.assert_allclose(dark[inside], FACE[inside] / 2, rtol=0.02)
    flat = CHANGES["skin, half the contrast"](FACE, LANDMARKS)
    assert flat[inside].std() == pytest.approx(FACE[inside].std() / 2, rel=0.05)


def test_glasses_are_at_the_eyes_and_a_beard_is_below_the_nose() -> None:
    for name, rows in (("glasses", slice(30, 48)), ("dark glasses", slice(30, 48)), ("beard", slice(0, 29))):
        difference = np.abs(CHANGES[name](FACE, LANDMARKS) - FACE)
        assert difference[rows].max() < 1e-3
        assert difference.max() > 20
    assert CHANGES["dark glasses"](FACE, LANDMARKS)[19, 16] < 40 < CHANGES["glasses"](FACE, LANDMARKS)[19, 16]


def test_only_faces_of_other_classes_can_be_falsely_neutral() -> None:
    classes = ("happy", "neutral")
    labels, predicted = np.array([0, 0, 1, 1]), np.array([0, 1, 1, 0])
    row = _row("one", predicted, labels, np.array([0, 0, 1, 1]), classes, 0.75)
    assert row == Row("one", 4, 0.5, 0.5, 0.75, 0.5)
    assert "| one | 4 | 50.0 | 50.0 | 75.0 | 50.0 |" in table([row])
    assert "| none | 0 | - | - | - | - |" in table([_row("none", labels[:0], labels[:0], labels[:0], classes, 1.0)])
