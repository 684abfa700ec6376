"""Tests of viz/map/projection.py: they check quality, never coordinates."""

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import moodspace.viz.map.projection
from moodspace.classifier.bundle.bundle import load_bundle, update_bundle
from moodspace.viz.map.projection import project

ROOT = Path(__file__).parents[3]


def unit(rows: np.ndarray) -> np.ndarray:
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def random_rows(n: int, d: int = 8, seed: int = 0) -> np.ndarray:
    return unit(np.random.default_rng(seed).normal(size=(n, d)))


class TestFewFaces:
    @pytest.mark.parametrize("n", [0, 1, 2, 3, 15])
    def test_the_plane_needs_no_umap(self, n: int, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "umap", None)
        places = project(random_rows(n), seed=1)
        assert places.shape == (n, 2)
        assert places.dtype == np.float32
        assert np.isfinite(places).all()
        assert len(np.unique(places, axis=0)) == n

    def test_three_faces_keep_their_distances(self) -> None:
        rows = random_rows(3)
        places = project(rows, seed=1)
        for i, j in ((0, 1), (0, 2), (1, 2)):
            assert np.linalg.norm(places[i] - places[j]) == pytest.approx(np.linalg.norm(rows[i] - rows[j]), rel=1e-4)

    @pytest.mark.parametrize("n", [2, 400])
    def test_identical_rows_lie_on_one_spot(self, n: int) -> None:
        assert not project(np.repeat(random_rows(1), n, axis=0), seed=1).any()

    def test_one_dimension(self) -> None:
        assert project(np.array([[1], [-1]], np.float32), seed=1).shape == (2, 2)


class TestWrongInput:
    @pytest.mark.parametrize("value", [np.nan, np.inf, 0.5])
    def test_a_row_that_is_no_unit_vector_is_named(self, value: float) -> None:
        rows = random_rows(20)
        rows[13, 2] = value
        with pytest.raises(ValueError, match=r"1 of 20 .* first row 13"):
            project(rows, seed=1)

    @pytest.mark.parametrize("shape", [(3,), (2, 3, 4)])
    def test_shape(self, shape: tuple[int, ...]) -> None:
        with pytest.raises(ValueError, match=r"expected shape \(n, d\)"):
            project(np.ones(shape, np.float32), seed=1)

    @pytest.mark.parametrize("settings", [{"n_neighbors": 1}, {"min_dist": -0.1}, {"min_dist": 1.5}, {"metric": "rbf"}])
    def test_settings(self, settings: dict[str, Any]) -> None:
        with pytest.raises(ValueError, match=next(iter(settings))):
            project(random_rows(3), seed=1, **settings)


class FakeUmap:
    def __init__(self, **settings: Any) -> None:
        self.settings = settings

    def fit_transform(self, rows: np.ndarray) -> np.ndarray:
        bar = self.settings["tqdm_kwds"]["file"]
        for text in ("\r", "\r0/200", "\r50/200", "\n"):
            bar.write(text)
            bar.flush()
        return rows[:, :2].astype(np.float64)


class TestWhatUmapIsGiven:
    @pytest.fixture
    def given_settings(self, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
        seen: list[dict[str, Any]] = []

        def fake(**settings: Any) -> FakeUmap:
            seen.append(settings)
            return FakeUmap(**settings)

        monkeypatch.setattr(moodspace.viz.map.projection, "_umap", fake)
        return seen

    @pytest.mark.parametrize("metric", ["cosine", "euclidean"])
    def test_exact_neighbours_and_each_row_first(self, metric: Any, given_settings: list[dict[str, Any]]) -> None:
        rows = random_rows(60)
        project(rows, seed=3, n_neighbors=6, metric=metric)
        indices, distances = given_settings[0]["precomputed_knn"]
        exact = 1 - rows @ rows.T if metric == "cosine" else np.linalg.norm(rows[:, None] - rows, axis=2)
        np.fill_diagonal(exact, -1)
        assert np.array_equal(indices, exact.argsort(axis=1)[:, :6])
        assert distances[:, 1:] == pytest.approx(np.sort(exact, axis=1)[:, 1:6], abs=1e-5)
        assert not distances[:, 0].any()

    def test_copies_do_not_take_a_rows_own_place(self, given_settings: list[dict[str, Any]]) -> None:
        project(np.vstack([np.repeat(random_rows(1), 30, axis=0), random_rows(30, seed=4)]), seed=3, n_neighbors=6)
        indices, distances = given_settings[0]["precomputed_knn"]
        assert np.array_equal(indices[:, 0], np.arange(60))
        assert not (indices[:, 1:] == indices[:, :1]).any()
        assert (distances >= 0).all()

    def test_progress(self, given_settings: list[dict[str, Any]]) -> None:
        told: list[tuple[str, float]] = []
        project(random_rows(40), seed=3, progress=lambda stage, share: told.append((stage, share)))
        assert [share for stage, share in told if stage == "laying out"] == [0.0, 0.25, 1.0]
        assert told[0] == ("finding neighbors", 0.0)
        assert {("finding neighbors", 1.0), ("preparing the layout", 1.0)} <= set(told)


UMAP_FOR_REAL = """
import sys, warnings
warnings.simplefilter("error")
import numpy as np
from sklearn.manifold import trustworthiness
from moodspace.viz.map.projection import project

rng = np.random.default_rng(0)
rows = rng.normal(size=(3, 16))[np.arange(300) % 3] + 0.15 * rng.normal(size=(300, 16))
rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
told = []
places = project(rows, seed=7, progress=lambda stage, share: told.append((stage, share)))
again, other = project(rows, seed=7), project(rows, seed=8)
copies = project(np.vstack([np.repeat(rows[:1], 60, axis=0), rows[:60]]), seed=7)
labels = np.arange(300) % 3
centres = np.array([places[labels == i].mean(axis=0) for i in range(3)])
found = np.linalg.norm(places[:, None] - centres, axis=2).argmin(axis=1)
assert trustworthiness(rows, places, n_neighbors=15, metric="cosine") >= 0.88, "trustworthiness"
assert (found == labels).all(), "the blobs are mixed up"
assert np.array_equal(places, again), "the same seed gave another map"
assert not np.array_equal(places, other), "the seed changes nothing"
assert np.isfinite(copies).all(), "copies"
for stage in ("finding neighbors", "preparing the layout", "laying out"):
    shares = [share for name, share in told if name == stage]
    assert shares[-1] == 1 and shares == sorted(shares), (stage, shares)
assert len(shares) > 2, shares
import cli
warnings.resetwarnings()
try: cli.app(["visualize", "--bundle", sys.argv[1], "--out", sys.argv[2], "--refit"])
except SystemExit as end: assert not end.code, end.code
assert "tensorflow" not in sys.modules and "keras" not in sys.modules, "TensorFlow was imported"
assert not any(name.startswith("tensorflow") for name in sys.modules), "parts of TensorFlow were imported"
"""


@pytest.mark.slow
def test_umap_separates_blobs_repeats_itself_draws_a_gallery_and_leaves_tensorflow_alone(
    shipped: Path, tmp_path: Path
) -> None:
    """One process for all, because numba compiles UMAP anew in each: half a minute."""
    small = shutil.copytree(shipped, tmp_path / "small")
    update_bundle(small, gallery=load_bundle(small).index.gallery.take(np.arange(60)))
    line = [sys.executable, "-c", UMAP_FOR_REAL, small, tmp_path / "out"]
    run = subprocess.run(list(map(str, line)), cwd=ROOT, capture_output=True, text=True, timeout=1200, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    assert (tmp_path / "out" / "map.png").stat().st_size > 10_000 and (tmp_path / "out" / "map.html").is_file()
    coordinates = load_bundle(small).map_coordinates
    assert coordinates is not None and len(np.unique(coordinates, axis=0)) == 60


def test_a_blocked_module_cannot_be_imported_inside_and_can_afterwards() -> None:
    before = dict(sys.modules)
    with moodspace.viz.map.projection._without("colorsys_of_nowhere"), pytest.raises(ImportError):
        __import__("colorsys_of_nowhere")
    assert sys.modules == before


def test_a_module_that_is_loaded_already_stays_loaded() -> None:
    with moodspace.viz.map.projection._without("json"):
        import json
    assert sys.modules["json"] is json


def test_importing_the_folder_loads_none_of_the_heavy_libraries() -> None:
    code = (
        "import sys\n"
        "from moodspace.viz.map import face_map, page, picture, projection, quality\n"
        "print([n for n in ('umap', 'sklearn', 'matplotlib', 'plotly', 'tensorflow', 'numba') if n in sys.modules])"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.strip() == "[]"
