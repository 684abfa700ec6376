from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from moodspace.viz.map.face_map import ORIGINS, UNLABELED, FaceMap, density_peak, describe, readable_on
from moodspace.viz.map.quality import MapQuality

QUALITY = MapQuality(trustworthiness=0.9321, knn_accuracy_map=0.612, knn_accuracy_space=0.7, k=15, dim=128)


@pytest.mark.parametrize(
    ("column", "value", "words"),
    [
        ("coordinates", np.zeros((9, 3), np.float32), r"coordinates: expected shape \(9, 2\)"),
        ("coordinates", np.full((9, 2), np.nan, np.float32), "finite"),
        ("ids", np.arange(8), "ids: expected"),
        ("sources", np.array(["a"]), "sources: expected"),
        ("labels", np.full(9, 3), "labels: expected -1 to 2, got 3"),
        ("labels", np.full(9, -2), "labels: expected -1 to 2, got -2"),
        ("predicted", np.full(9, 3), "predicted: expected -1 to 2"),
        ("predicted", np.full(8, 1), "predicted: expected shape"),
        ("confidence", np.full((9, 1), 1, np.float32), "confidence: expected shape"),
        ("neighbors", np.full((9, 2), 9), "neighbors: expected -1 to 8"),
        ("neighbors", np.full(9, 1), "neighbors: expected shape"),
        ("splits", np.full(8, "train"), "splits: expected shape"),
        ("origin", np.full(9, "elsewhere"), "origin: expected gallery, taught, session, data"),
        ("crops", np.zeros((2, 24, 24), np.uint8), "crops: expected shape"),
        ("picture", np.zeros(9, np.int64), "picture: expected -1 to -1"),
    ],
)
def test_columns_that_do_not_fit(make_map: Callable[..., FaceMap], column: str, value: Any, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        make_map(9, **{column: value})


def test_groups_hold_each_face_once(make_map: Callable[..., FaceMap]) -> None:
    face_map = make_map(9, labels=np.array([0, 1, 2, -1, 0, -1, 2, 2, 0]))
    assert [(group.name, group.labeled, group.rows.tolist()) for group in face_map.groups] == [
        ("happy", True, [0, 4, 8]),
        ("sad", True, [1]),
        ("confused", True, [2, 6, 7]),
        (UNLABELED, False, [3, 5]),
    ]


def test_a_plain_map_claims_nothing(make_map: Callable[..., FaceMap]) -> None:
    face_map = make_map(4)
    assert (face_map.predicted == -1).all() and np.isnan(face_map.confidence).all()
    assert (face_map.neighbors == -1).all() and (face_map.picture == -1).all() and len(face_map.crops) == 0
    assert set(face_map.splits) == {""} and set(face_map.origin) == {ORIGINS[0]}


def test_no_faces_is_legal(make_map: Callable[..., FaceMap]) -> None:
    assert len(make_map(0)) == 0
    assert [len(group.rows) for group in make_map(0).groups] == [0, 0, 0]


@pytest.mark.parametrize(("n", "title"), [(0, "0 faces"), (1, "1 face "), (28_709, "28,709 faces")])
def test_title(make_map: Callable[..., FaceMap], n: int, title: str) -> None:
    assert make_map(n).title.startswith(title)


@pytest.mark.parametrize(("shade", "ink"), [("#ffffff", "#000000"), ("#000000", "#ffffff"), ("#F0E442", "#000000")])
def test_ink(shade: str, ink: str) -> None:
    assert readable_on(shade) == ink


def test_the_caption_names_seed_settings_and_quality() -> None:
    words = describe(faces=100, seed=7, n_neighbors=15, min_dist=0.1, metric="cosine", quality=QUALITY)
    for part in (
        "UMAP",
        "cosine",
        "15 neighbors",
        "min_dist 0.1",
        "seed 7",
        "0.932 at k = 15",
        "61.2% on the map",
        "70.0% in all 128 dimensions",
    ):
        assert part in words


def test_the_caption_claims_no_umap_and_no_quality_that_was_not_there() -> None:
    unknown = MapQuality(trustworthiness=None, knn_accuracy_map=None, knn_accuracy_space=None, k=1, dim=128)
    words = describe(faces=3, seed=7, n_neighbors=15, min_dist=0.1, metric="cosine", quality=unknown)
    assert words.startswith("Principal plane")
    assert "trustworthiness" not in words and "accuracy" not in words


def test_a_name_stands_among_its_faces_though_they_lie_apart() -> None:
    rng = np.random.default_rng(0)
    spots = np.array([[0, 0], [100, 0], [50, 80]], np.float32)[np.arange(300) % 3]
    points = np.concatenate([spots, np.full((60, 2), (100, 0), np.float32)]) + rng.normal(size=(360, 2))
    assert np.linalg.norm(density_peak(points.astype(np.float32), 110.0) - (100, 0)) < 3


@pytest.mark.parametrize("n", [1, 2, 50])
def test_a_name_stands_where_all_faces_are(n: int) -> None:
    assert density_peak(np.full((n, 2), (3, 4), np.float32), 0.0).tolist() == [3, 4]
