from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import moodspace.viz.map.picture
from moodspace.classifier.palette import COLORS, class_shades
from moodspace.viz.map.face_map import FaceMap
from moodspace.viz.map.picture import DENSITY_FROM, draw_map
from moodspace.viz.theme import LIGHT


def draw(face_map: FaceMap, folder: Path, *, size_px: tuple[int, int] = (800, 600), dark: bool = False) -> np.ndarray:
    draw_map(face_map, folder / "map.png", size_px=size_px, dark=dark)
    with Image.open(folder / "map.png") as picture:
        assert picture.format == "PNG"
        assert picture.size == size_px
        return np.asarray(picture.convert("RGB"))


def share_of(pixels: np.ndarray, shade: str, within: int = 12) -> float:
    color = [int(shade[at : at + 2], 16) for at in (1, 3, 5)]
    return float((np.abs(pixels.astype(int) - color).max(axis=2) <= within).mean())


@pytest.mark.parametrize("size_px", [(800, 600), (801, 656)])
def test_size_and_colors(make_map: Callable[..., FaceMap], tmp_path: Path, size_px: tuple[int, int]) -> None:
    pixels = draw(make_map(90, ("happy", "sad")), tmp_path, size_px=size_px)
    assert share_of(pixels, COLORS["happy"]) > 0.001
    assert share_of(pixels, COLORS["sad"]) > 0.001
    assert share_of(pixels, COLORS["angry"]) < 0.0005


def test_dark(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    light, dark = draw(make_map(), tmp_path), draw(make_map(), tmp_path, dark=True)
    assert np.median(light) > 240
    assert np.median(dark) < 40


def test_the_same_map_gives_the_same_file(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    for name in ("one.png", "two.png"):
        draw_map(make_map(), tmp_path / name, size_px=(800, 600))
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()


def test_many_faces_stand_on_their_density(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    def inked(n: int) -> float:
        on_20_spots = np.tile(make_map(20).coordinates, (n // 20, 1))
        pixels = draw(make_map(n, coordinates=on_20_spots), tmp_path)
        return 1 - share_of(pixels, LIGHT.paper, within=1)

    assert inked(DENSITY_FROM) > 2 * inked(DENSITY_FROM - 20)


@pytest.mark.parametrize("n", [0, 1, 3])
def test_few_faces(make_map: Callable[..., FaceMap], tmp_path: Path, n: int) -> None:
    pixels = draw(make_map(n), tmp_path)
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 10


def test_one_class_all_on_one_spot(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    draw(make_map(600, ("happy",), coordinates=np.zeros((600, 2), np.float32)), tmp_path)


def test_names_do_not_overlap_where_all_classes_lie_together(
    make_map: Callable[..., FaceMap], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boxes: list[tuple[float, float, float, float]] = []
    original = moodspace.viz.map.picture._free_shift

    def noted(box, frame, taken):  # type: ignore[no-untyped-def]
        shift = original(box, frame, taken)
        boxes.append(box.translated(*shift).extents)
        return shift

    monkeypatch.setattr(moodspace.viz.map.picture, "_free_shift", noted)
    rng = np.random.default_rng(0)
    draw(make_map(700, tuple(COLORS), coordinates=rng.normal(size=(700, 2)).astype(np.float32)), tmp_path)
    assert len(boxes) == len(COLORS)
    for i, (left, low, right, high) in enumerate(boxes):
        for other_left, other_low, other_right, other_high in boxes[:i]:
            assert right <= other_left or other_right <= left or high <= other_low or other_high <= low


def test_names_are_text_and_not_formulas(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    draw(make_map(90, ("happy", "$\\nonsense{$", "a name that is longer than the room for it")), tmp_path)


def test_faces_without_a_label(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    draw(make_map(90, labels=np.full(90, -1)), tmp_path)


def test_too_small(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="800 x 600 or more"):
        draw_map(make_map(), tmp_path / "map.png", size_px=(300, 200))


@pytest.mark.parametrize("origin", ["taught", "session", "data"])
def test_who_is_not_of_the_bundle_stands_out(make_map: Callable[..., FaceMap], tmp_path: Path, origin: str) -> None:
    of_all = np.full(600, "gallery", dtype="<U7")
    plain = draw(make_map(600, ("happy", "sad"), origin=of_all), tmp_path)
    of_all[:20] = origin
    marked = draw(make_map(600, ("happy", "sad"), origin=of_all), tmp_path)
    assert share_of(marked, LIGHT.ink, 60) > share_of(plain, LIGHT.ink, 60) * 1.1


def test_no_name_hides_a_taught_face(
    make_map: Callable[..., FaceMap], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept_off: list[int] = []

    def noted(box, frame, taken):  # type: ignore[no-untyped-def]
        kept_off.append(len(taken))
        return np.zeros(2, np.float32)

    monkeypatch.setattr(moodspace.viz.map.picture, "_free_shift", noted)
    draw(make_map(600, origin=np.array(["gallery"] * 597 + ["taught"] * 3)), tmp_path)
    draw(make_map(600, origin=np.array(["gallery"] * 300 + ["data"] * 300)), tmp_path)
    assert kept_off == [3, 4, 5, 0, 1, 2]


@pytest.mark.parametrize("dark", [False, True])
def test_a_users_class_has_one_color_on_any_ground(
    make_map: Callable[..., FaceMap], tmp_path: Path, dark: bool
) -> None:
    pixels = draw(make_map(90, ("happy", "confused")), tmp_path, dark=dark)
    assert share_of(pixels, class_shades(("confused",))[0]) > 0.001
