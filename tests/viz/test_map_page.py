import json
import re
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from classifier.palette import COLOURS
from viz.face_map import FaceMap
from viz.map_page import write_map_page


class Reader(HTMLParser):
    """Collects every address that a page would load and the text of its elements."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.addresses: list[str] = []
        self.policy = ""
        self.texts: dict[str, str] = {}
        self._open = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.addresses += [value or "" for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if named.get("http-equiv") == "Content-Security-Policy":
            self.policy = named["content"] or ""
        self._open = named.get("id") or tag

    def handle_data(self, data: str) -> None:
        self.texts[self._open] = self.texts.get(self._open, "") + data

    def handle_endtag(self, tag: str) -> None:
        self._open = ""

    @property
    def faces(self) -> dict[str, Any]:
        return dict(json.loads(self.texts["faces"]))


def written(face_map: FaceMap, folder: Path) -> tuple[str, Reader]:
    write_map_page(face_map, folder / "map.html")
    page = (folder / "map.html").read_text(encoding="utf-8")
    return page, Reader(page)


def test_it_holds_all_faces(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    face_map = make_map(90)
    faces = written(face_map, tmp_path)[1].faces
    assert [int(number) for number in faces["id"]] == face_map.ids.tolist()  # beyond 53 bits, too
    assert faces["source"] == face_map.sources.tolist()
    assert faces["group"] == face_map.labels.tolist()
    assert [group["name"] for group in faces["groups"]] == list(face_map.classes)
    assert faces["groups"][0]["shade"] == COLOURS["happy"]
    assert faces["note"] == face_map.note
    places = np.array([faces["x"], faces["y"]]).T
    scale = float(np.ptp(face_map.coordinates, axis=0).max()) / 65535
    back = places * scale + face_map.coordinates.min(axis=0)
    assert back == pytest.approx(face_map.coordinates, abs=scale)


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
    assert "function addToLegend" in reader.texts["script"]


@pytest.mark.parametrize("hostile", ["</script><script>alert(1)</script>", "<!--<script>", "{{script}}", "\udc80.png"])
def test_a_hostile_source_stays_a_text(make_map: Callable[..., FaceMap], tmp_path: Path, hostile: str) -> None:
    plain, _ = written(make_map(1), tmp_path)
    page, reader = written(make_map(1, sources=np.array([hostile])), tmp_path)
    assert reader.faces["source"] == [hostile]
    assert page.count("<script") == plain.count("<script")


@pytest.mark.parametrize("n", [0, 1, 3])
def test_few_faces(make_map: Callable[..., FaceMap], tmp_path: Path, n: int) -> None:
    faces = written(make_map(n), tmp_path)[1].faces
    assert len(faces["x"]) == len(faces["y"]) == len(faces["group"]) == n
    assert len(faces["groups"]) == 3


def test_all_on_one_spot(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    faces = written(make_map(9, ("happy",), coordinates=np.ones((9, 2), np.float32)), tmp_path)[1].faces
    assert set(faces["x"]) == set(faces["y"]) == {0}


def test_faces_without_a_label_can_be_filtered_and_get_no_name(
    make_map: Callable[..., FaceMap], tmp_path: Path
) -> None:
    faces = written(make_map(6, labels=np.array([0, 1, 2, -1, -1, 0])), tmp_path)[1].faces
    assert faces["group"] == [0, 1, 2, 3, 3, 0]
    assert [group["named"] for group in faces["groups"]] == [True, True, True, False]


def test_35_000_faces_are_a_small_page(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    written(make_map(35_000), tmp_path)
    assert (tmp_path / "map.html").stat().st_size < 3_000_000
