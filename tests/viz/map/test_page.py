import base64
import io
import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image

from moodspace.classifier.palette import COLORS
from moodspace.viz.map.face_map import FaceMap
from moodspace.viz.map.page import SIDE, atlas_order, atlas_sheets, write_page

KINDS = {
    "x": "<u2", "y": "<u2", "group": "<i2", "predicted": "<i2", "confidence": "<u2", "split": "<u2", "origin": "<u2",
    "neighbors": "<i4", "picture": "<i4", "id": "<i8",
}  # fmt: skip


class Reader(HTMLParser):
    """Collects the URLs in a page and the text of its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.policy = ""
        self.texts: dict[str, str] = {}
        self.sheets: list[str] = []
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named["content"] or ""
        self._open = named.get("id") or named.get("class") or tag

    def handle_data(self, data: str) -> None:
        if self._open == "sheet":
            self.sheets.append(data)
        self.texts[self._open] = self.texts.get(self._open, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    @property
    def faces(self) -> dict[str, Any]:
        packed = json.loads(self.texts["faces"])
        return packed | {name: np.frombuffer(base64.b64decode(packed[name]), kind) for name, kind in KINDS.items()}


def written(face_map: FaceMap, folder: Path) -> tuple[str, Reader]:
    write_page(face_map, folder / "map.html")
    page = (folder / "map.html").read_text(encoding="utf-8")
    return page, Reader(page)


def test_it_holds_all_faces(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    face_map = make_map(90)
    page, reader = written(face_map, tmp_path)
    faces = reader.faces
    assert faces["id"].tolist() == face_map.ids.tolist()  # beyond the 53 bits of JavaScript's numbers, too
    assert faces["source"] == face_map.sources.tolist()
    assert faces["group"].tolist() == face_map.labels.tolist()
    assert [group["name"] for group in faces["groups"]] == list(face_map.classes)
    assert f"--g0: {COLORS['happy']};" in page
    assert reader.texts["note"] == face_map.note
    places = np.array([faces["x"], faces["y"]]).T
    scale = float(np.ptp(face_map.coordinates, axis=0).max()) / 65535
    back = places * scale + face_map.coordinates.min(axis=0)
    assert back == pytest.approx(face_map.coordinates, abs=scale)


def test_it_holds_what_is_known_of_each_face(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    known = {
        "predicted": np.array([1, -1, 0]),
        "confidence": np.array([0.98765, np.nan, 1.0], np.float32),
        "neighbors": np.array([[1, 2], [0, -1], [-1, -1]]),
        "splits": np.array(["validation", "", "train"]),
        "origin": np.array(["gallery", "taught", "session"]),
    }
    faces = written(make_map(3, **known), tmp_path)[1].faces
    assert faces["predicted"].tolist() == [1, -1, 0]
    assert faces["confidence"].tolist() == [9876, 65535, 10000]
    assert faces["nearest"] == 2
    assert faces["neighbors"].tolist() == [1, 2, 0, -1, -1, -1]
    assert [faces["splits"][code] for code in faces["split"]] == ["validation", "", "train"]
    assert [faces["origins"][code] for code in faces["origin"]] == ["gallery", "taught", "session"]
    assert faces["picture"].tolist() == [-1, -1, -1]


def test_every_face_shows_its_own_picture(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    n = SIDE * SIDE + 30  # two sheets
    crops = np.empty((n + 1, 48, 48), np.uint8)
    crops[:] = np.linspace(0, 255, n + 1)[:, None, None]
    picture = np.random.default_rng(3).permutation(n + 1)[:n]
    picture[7] = -1
    reader = written(make_map(n, crops=crops, picture=picture), tmp_path)[1]
    sheets = [unpacked(sheet) for sheet in reader.sheets]
    assert [len(sheet) for sheet in sheets] == [SIDE * 48, 2 * 48]
    for own, place in zip(picture, reader.faces["picture"], strict=True):
        assert (own < 0) == (place < 0)
        if own >= 0:
            row, column = divmod(place % SIDE**2, SIDE)
            shown = sheets[place // SIDE**2][48 * row : 48 * row + 48, 48 * column : 48 * column + 48]
            assert np.abs(shown.astype(int) - int(crops[own, 0, 0])).mean() < 4


def unpacked(sheet: str) -> npt.NDArray[np.uint8]:
    packed = base64.b64decode(sheet.removeprefix("data:image/webp;base64,"))
    return np.asarray(Image.open(io.BytesIO(packed)).convert("L"))


def test_neighbours_share_a_sheet() -> None:
    places = np.random.default_rng(0).random((4096, 2)).astype(np.float32)
    order = atlas_order(places, np.arange(4096))
    assert sorted(order) == list(range(4096))
    sheets = places[order].reshape(16, 256, 2)
    assert np.ptp(sheets, axis=1).prod(axis=1).mean() < 0.15  # of the map; 1 if they were drawn by lot


def test_two_faces_may_share_a_picture_and_others_are_left_out() -> None:
    order = atlas_order(np.zeros((3, 2), np.float32), np.array([4, -1, 4]))
    assert order.tolist() == [4]
    assert len(atlas_sheets(np.zeros((5, 48, 48), np.uint8), order)) == 1
    assert atlas_sheets(np.zeros((5, 48, 48), np.uint8), order[:0]) == []


def test_it_loads_nothing(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    page, reader = written(make_map(), tmp_path)
    assert reader.addresses == []
    assert reader.policy.startswith("default-src 'none'")
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(|fetch\(|XMLHttpRequest|WebSocket|import\(", page)


def test_every_placeholder_is_filled(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    page, reader = written(make_map(), tmp_path)
    assert "{{" not in page
    assert "prefers-color-scheme: dark" in reader.texts["style"]
    assert "function drawDots" in reader.texts["script"]


@pytest.mark.parametrize("hostile", ["</script><script>alert(1)</script>", "<!--<script>", "{{script}}", "\udc80.png"])
def test_a_hostile_source_stays_a_text(make_map: Callable[..., FaceMap], tmp_path: Path, hostile: str) -> None:
    plain, _ = written(make_map(1), tmp_path)
    page, reader = written(make_map(1, sources=np.array([hostile])), tmp_path)
    assert reader.faces["source"] == [hostile]
    assert page.count("<script") == plain.count("<script")


@pytest.mark.parametrize("hostile", ["</script><script>alert(1)</script>", "{{faces}}"])
def test_hostile_classes_and_notes_stay_texts(make_map: Callable[..., FaceMap], tmp_path: Path, hostile: str) -> None:
    plain, _ = written(make_map(2), tmp_path)
    page, reader = written(make_map(2, (hostile, "sad"), note=hostile, splits=np.array([hostile, ""])), tmp_path)
    assert reader.faces["groups"][0]["name"] == hostile
    assert hostile in reader.faces["splits"]
    assert reader.texts["note"] == hostile
    assert page.count("<script") == plain.count("<script")


@pytest.mark.parametrize("n", [0, 1, 3])
def test_few_faces(make_map: Callable[..., FaceMap], tmp_path: Path, n: int) -> None:
    faces = written(make_map(n), tmp_path)[1].faces
    assert len(faces["x"]) == len(faces["y"]) == len(faces["group"]) == n
    assert len(faces["groups"]) == 3


def test_all_on_one_spot(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    reader = written(make_map(9, ("happy",), coordinates=np.ones((9, 2), np.float32)), tmp_path)[1]
    faces = reader.faces
    assert set(faces["x"]) == set(faces["y"]) == {0}
    assert "in the same place" in reader.texts["shown"]


def test_faces_without_a_label_are_a_group_that_gets_no_name(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    faces = written(make_map(6, labels=np.array([0, 1, 2, -1, -1, 0])), tmp_path)[1].faces
    assert faces["group"].tolist() == [0, 1, 2, 3, 3, 0]
    assert [group["named"] for group in faces["groups"]] == [True, True, True, False]


def test_35_000_faces_are_a_small_page(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    written(make_map(35_000), tmp_path)
    assert (tmp_path / "map.html").stat().st_size < 3_000_000
