"""Tests of viz/map/projector.py against the format that TensorBoard's plugin reads."""

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from moodspace.viz.map import projector
from moodspace.viz.map.face_map import FaceMap
from moodspace.viz.map.projector import write_projector


def embeddings_of(face_map: FaceMap) -> np.ndarray:
    rows = np.random.default_rng(0).normal(size=(len(face_map), 5))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def metadata(folder: Path) -> list[dict[str, str]]:
    head, *lines = (folder / "metadata.tsv").read_text(encoding="utf-8").split("\n")[:-1]
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


def test_each_face_has_a_vector_and_a_line(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    face_map = make_map(
        4,
        labels=np.array([0, 1, 2, -1]),
        predicted=np.array([0, 2, -1, 1]),
        confidence=np.array([0.5, 0.25, np.nan, 1], np.float32),
    )
    write_projector(face_map, embeddings_of(face_map), tmp_path)
    assert np.loadtxt(tmp_path / "vectors.tsv", delimiter="\t") == pytest.approx(embeddings_of(face_map), abs=6e-5)
    rows = metadata(tmp_path)
    assert [row["label"] for row in rows] == ["happy", "sad", "confused", "no label"]
    assert [row["predicted"] for row in rows] == ["happy", "confused", "", "sad"]
    assert [row["verdict"] for row in rows] == ["right", "wrong", "", ""]
    assert [row["confidence"] for row in rows] == ["0.500", "0.250", "", "1.000"]
    assert [int(row["id"]) for row in rows] == face_map.ids.tolist()


def test_the_configuration_names_the_files_beside_it(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    write_projector(make_map(4), embeddings_of(make_map(4)), tmp_path)
    text = (tmp_path / "projector_config.pbtxt").read_text()
    assert re.findall(r"(\w+_path): \"(.+)\"", text) == [
        ("tensor_path", "vectors.tsv"),
        ("metadata_path", "metadata.tsv"),
    ]
    assert re.findall(r"tensor_shape: (\d+)", text) == ["4", "5"]
    assert text.startswith("embeddings {") and text.count("{") == text.count("}")
    assert not (tmp_path / "sprite.png").exists()


def test_odd_names_stay_on_their_line(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    odd = np.array(["a\tb\nc.png", "\udc80.png", "d\r\n.png"])
    write_projector(make_map(3, ("x\ty",), sources=odd), embeddings_of(make_map(3)), tmp_path)
    assert [row["source"] for row in metadata(tmp_path)] == ["a b c.png", "?.png", "d  .png"]
    assert {row["label"] for row in metadata(tmp_path)} == {"x y"}


@pytest.mark.parametrize(("side_px", "expected"), [(4096, 48), (100, 33), (50, 16)])
def test_pictures_lie_in_the_order_of_the_faces(
    make_map: Callable[..., FaceMap], tmp_path: Path, side_px: int, expected: int
) -> None:
    crops = np.stack([np.full((48, 48), grey, np.uint8) for grey in (10, 60, 110)])
    picture = np.array([2, -1, 0, 1, -1])
    write_projector(make_map(5, crops=crops, picture=picture), embeddings_of(make_map(5)), tmp_path, sprite_px=side_px)
    with Image.open(tmp_path / "sprite.png") as sheet:
        assert sheet.size == (3 * expected, 2 * expected)
        middles = [sheet.getpixel((i % 3 * expected + 5, i // 3 * expected + 5)) for i in range(5)]
    assert middles == [110, 200, 10, 60, 200]
    assert f"single_image_dim: {expected} single_image_dim: {expected}" in (tmp_path / projector.CONFIG).read_text()


def test_too_many_for_pictures(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    crops = np.zeros((1, 48, 48), np.uint8)
    face_map = make_map(9, crops=crops, picture=np.zeros(9, np.int64))
    write_projector(face_map, embeddings_of(face_map), tmp_path, sprite_px=40)
    assert not (tmp_path / "sprite.png").exists()
    assert "sprite" not in (tmp_path / projector.CONFIG).read_text()


def test_nobody(make_map: Callable[..., FaceMap], tmp_path: Path) -> None:
    write_projector(make_map(0), np.empty((0, 5), np.float32), tmp_path)
    assert (tmp_path / "vectors.tsv").read_text() == ""
    assert metadata(tmp_path) == []
