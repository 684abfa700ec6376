"""Tests of viz/map/layout.py; test_projection.py tests UMAP itself."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

import moodspace.classifier.bundle.bundle
from moodspace.classifier.bundle.bundle import Bundle, load_bundle, save_bundle, update_bundle
from moodspace.viz.map import layout as map_layout
from moodspace.viz.map.layout import Layout, keep_layout, lay_out
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import FakeEncoder, fake_bundle, fake_gallery


@pytest.fixture
def saved(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(
        moodspace.classifier.bundle.bundle,
        "LiteRTEncoder",
        lambda model, classes, *, flip, threads=2: FakeEncoder(16, classes),
    )
    monkeypatch.setattr(map_layout, "project", scattered)
    (tmp_path / "network").write_bytes(b"a network")
    made = fake_bundle(drawn_faces(21, seed=0))
    save_bundle(
        tmp_path / "mood",
        encoder=tmp_path / "network",
        flip=False,
        gallery=made.index.gallery,
        classes=made.classes,
        default_labels=made.default_labels,
        geometry=made.geometry,
        calibrations=made.calibrations,
    )
    return tmp_path / "mood"


def scattered(rows: np.ndarray, *, seed: int, **_: Any) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(len(rows), 2)).astype(np.float32)


def laid_out(path: Path, seed: int | None = None, *, refit: bool = False) -> Layout:
    bundle = load_bundle(path)
    layout = lay_out(bundle, seed, refit=refit)
    if layout.fresh:
        keep_layout(bundle, layout)
    return layout


def test_places_are_made_once_and_then_kept(saved: Path) -> None:
    first, second = laid_out(saved), laid_out(saved)
    assert (first.fresh, second.fresh) == (True, False)
    assert second.coordinates.tobytes() == first.coordinates.tobytes()
    assert first.seed == second.seed == 0
    kept = load_bundle(saved).map_coordinates
    assert kept is not None and kept.tobytes() == first.coordinates.tobytes()


def test_another_seed_makes_them_anew_and_is_remembered(saved: Path) -> None:
    laid_out(saved)
    other = laid_out(saved, 7)
    assert other.fresh and other.seed == 7
    again = laid_out(saved)
    assert (again.fresh, again.seed) == (False, 7)


def test_refit_makes_them_anew_with_the_seed_they_have(saved: Path) -> None:
    laid_out(saved, 7)
    again = laid_out(saved, refit=True)
    assert (again.fresh, again.seed) == (True, 7)


def test_places_of_another_gallery_are_not_used(saved: Path) -> None:
    laid_out(saved)
    update_bundle(saved, gallery=fake_gallery(FakeEncoder(16), drawn_faces(14, seed=1)))
    assert laid_out(saved).fresh


@pytest.mark.parametrize("record", ["n_neighbors", "sha256"])
def test_places_made_otherwise_are_not_used(saved: Path, record: str) -> None:
    layout = laid_out(saved)
    made = load_bundle(saved).meta["metrics"]["map"]
    update_bundle(saved, map_coordinates=layout.coordinates, metrics={"map": {**made, record: "other"}})
    assert laid_out(saved).fresh


def test_places_of_which_nothing_is_known_are_not_used(saved: Path) -> None:
    update_bundle(saved, map_coordinates=np.zeros((21, 2), np.float32))
    assert laid_out(saved).fresh


def test_progress_has_a_bar_for_each_stage(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def telling(rows: np.ndarray, *, progress: Any, **_: Any) -> np.ndarray:
        for stage, share in (("one", 0.0), ("one", 1.0), ("two", 0.5)):
            progress(stage, share)
        return np.zeros((len(rows), 2), np.float32)

    monkeypatch.setattr(map_layout, "project", telling)
    told: list[tuple[str, int, int]] = []
    lay_out(load_bundle(saved), progress=lambda stage: lambda done, total: told.append((stage, done, total)))
    assert told == [("one", 0, 100), ("one", 100, 100), ("two", 50, 100)]


def test_an_empty_gallery_has_no_places(saved: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    made = fake_bundle(drawn_faces(7, seed=0).take(slice(0)))
    assert isinstance(made, Bundle)
    assert lay_out(made).coordinates.shape == (0, 2)
