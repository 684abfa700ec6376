import itertools

import numpy as np
import pytest
from skimage.color import rgb2lab

from classifier.palette import COLOURS, class_shades

OWN = ("confused", "bored", "proud", "shy", "tired", "smug")

# Machado, Oliveira & Fernandes 2009, severity 1, on linear RGB.
PROTANOPIA = np.array([[0.152, 1.053, -0.205], [0.115, 0.786, 0.099], [-0.004, -0.048, 1.052]])
DEUTERANOPIA = np.array([[0.367, 0.861, -0.228], [0.280, 0.673, 0.047], [-0.012, 0.043, 0.969]])


@pytest.mark.parametrize("dark", [False, True])
def test_every_class_has_a_colour_of_its_own(dark: bool) -> None:
    shades = class_shades((*COLOURS, *OWN), dark=dark)
    assert len(set(shades)) == len(COLOURS) + len(OWN)


@pytest.mark.parametrize("dark", [False, True])
def test_expressions_look_the_same_whatever_else_there_is(dark: bool) -> None:
    names = [name for pair in zip(OWN, COLOURS, strict=False) for name in pair]
    shades = dict(zip(names, class_shades(tuple(names), dark=dark), strict=True))
    assert all(shades[name] == COLOURS[name] for name in COLOURS if name in names)


@pytest.mark.parametrize("dark", [False, True])
def test_with_more_classes_than_colours_no_two_neighbours_look_alike(dark: bool) -> None:
    shades = class_shades(tuple(f"class {i}" for i in range(40)), dark=dark)
    assert all(one != other for one, other in itertools.pairwise(shades))


@pytest.mark.parametrize(("dark", "ground"), [(False, 0.97), (True, 0.008)])
def test_a_users_classes_can_be_seen_on_their_ground(dark: bool, ground: float) -> None:
    for shade in class_shades(OWN, dark=dark):
        lighter, darker = sorted((_luminance(shade), ground), reverse=True)
        assert (lighter + 0.05) / (darker + 0.05) >= 3  # WCAG 2.2, non-text contrast


@pytest.mark.parametrize("dark", [False, True])
@pytest.mark.parametrize("eyes", [np.eye(3), PROTANOPIA, DEUTERANOPIA], ids=["most", "protanopia", "deuteranopia"])
def test_a_users_classes_are_told_apart_by_all_eyes(dark: bool, eyes: np.ndarray) -> None:
    linear = np.array([_linear(shade) for shade in class_shades((*OWN, *COLOURS), dark=dark)]) @ eyes.T
    seen = rgb2lab(np.clip(linear, 0, 1) ** (1 / 2.2))
    apart = np.linalg.norm(seen[:, None] - seen[None, : len(OWN)], axis=2)
    apart[range(len(OWN)), range(len(OWN))] = np.inf
    assert apart.min() > 10


def _luminance(shade: str) -> float:
    return float(_linear(shade) @ [0.2126, 0.7152, 0.0722])


def _linear(shade: str) -> np.ndarray:
    channels = np.array([value / 255 for value in bytes.fromhex(shade[1:])])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
