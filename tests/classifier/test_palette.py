import itertools
from collections import Counter

import numpy as np
import pytest
from skimage.color import rgb2lab

from moodspace.classifier.palette import COLORS, class_shades

OWN = tuple(f"class {i}" for i in range(12))  # as many as there are colors

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
PROTANOPIA = np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]])
DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])


def test_every_class_has_a_color_of_its_own() -> None:
    shades = class_shades((*COLORS, *OWN))
    assert len(set(shades)) == len(COLORS) + len(OWN)


def test_expressions_look_the_same_whatever_else_there_is() -> None:
    names = [name for pair in zip(OWN, COLORS, strict=False) for name in pair]
    shades = dict(zip(names, class_shades(tuple(names)), strict=True))
    assert all(shades[name] == COLORS[name] for name in COLORS if name in names)


def test_a_users_class_looks_the_same_in_every_view() -> None:
    # A window, a report and a data set name the same classes in different orders and beside different others.
    known = tuple(COLORS)
    for order in itertools.permutations(OWN[:4]):
        assert dict(zip(order, class_shades(order), strict=True)) == dict(
            zip(OWN[:4], class_shades((*known, *OWN[:4]))[len(known) :], strict=True)
        )
    assert class_shades(("confused",)) == class_shades((*known, "confused"))[-1:]


def test_a_class_that_wants_the_color_of_another_takes_the_next_free_one() -> None:
    one = next(name for name in (f"class {i}" for i in range(100)) if class_shades((name,)) == class_shades(("b",)))
    both = class_shades(("b", one))
    assert len(set(both)) == 2
    assert both[0] == class_shades(("b",))[0]


def test_with_more_classes_than_colors_each_color_is_used_as_often() -> None:
    shades = class_shades(tuple(f"class {i}" for i in range(36)))
    assert set(Counter(shades).values()) == {3}
    assert class_shades(("bored", "bored")) == class_shades(("bored",)) * 2


@pytest.mark.parametrize("ground", [0.97, 0.008], ids=["light", "dark"])
def test_a_users_classes_can_be_seen_on_any_ground(ground: float) -> None:
    for shade in class_shades(OWN):
        lighter, darker = sorted((_luminance(shade), ground), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3  # WCAG 2.2, non-text contrast


@pytest.mark.parametrize("eyes", [np.eye(3), PROTANOPIA, DEUTERANOPIA], ids=["most", "protanopia", "deuteranopia"])
def test_a_users_classes_are_told_apart_by_all_eyes(eyes: np.ndarray) -> None:
    linear = np.array([_linear(shade) for shade in class_shades((*OWN, *COLORS))]) @ eyes.T
    seen = rgb2lab(np.clip(linear, 0, 1) ** (1 / 2.2))
    apart = np.linalg.norm(seen[:, None] - seen[None, : len(OWN)], axis=2)
    apart[range(len(OWN)), range(len(OWN))] = np.inf
    assert apart.min() > 13


def _luminance(shade: str) -> float:
    return float(_linear(shade) @ [0.2126, 0.7152, 0.0722])


def _linear(shade: str) -> np.ndarray:
    channels = np.array([value / 255 for value in bytes.fromhex(shade[1:])])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
