"""The figures of a comparison: quality in one order of classes, medians, ratios of the same round, map and search."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.figures import (
    costs,
    map_figures,
    placed_accuracy,
    quality,
    quality_key,
    read_figures,
    search_figures,
)
from benchmarks.peers.inputs import CLASSES, LabelledSet, read_set, write_inputs
from benchmarks.peers.turns import Found
from tests.drawn_faces import drawn_faces, write_parquet


def labelled(labels: list[int], name: str = "a/set") -> LabelledSet:
    crops = np.zeros((len(labels), 48, 48), np.uint8)
    return LabelledSet(name, crops, np.array(labels), len(labels))


def test_classes_are_put_into_one_order_and_sets_are_told_apart() -> None:
    own = ["happy", "angry", "disgust", "fear", "neutral", "sad", "surprise"]
    proba = np.full((6, 7), 0.02)
    # The fourth face says sad; the two faces of the other set say happy.
    proba[[0, 1, 2, 3, 4, 5], [1, 0, 0, 5, 0, 0]] = 0.88
    sets = [labelled([0, 3, 3, 6]), labelled([3, 0], "another/set")]  # angry, happy, happy, surprise; happy, angry
    found = quality({"classes": own, "proba": proba.ravel().tolist()}, sets)
    assert found["a/set"]["accuracy"] == pytest.approx(75)
    assert found["a/set"]["ece"] == pytest.approx(13, abs=0.1)
    assert found["a/set"]["macro_f1"] == pytest.approx(50)  # angry and happy, of those and surprise and sad
    assert found["another/set"]["accuracy"] == pytest.approx(50)


def timed(one: float, clip: float, peak: float = 100, **live: float) -> dict[str, Any]:
    return {"version": "1", "ms": {"1": one, "8": one / 2, "32": one / 4}, "peak_mb": peak,
            "clips": {"c": {"frame_ms": clip, "faces": 4.0} | live}}  # fmt: skip


def test_costs_are_medians_and_ratios_are_of_the_same_round() -> None:
    # The machine was slow in the second round: the ratio does not see it.
    first = Found("first", {"cold": [{"version": "1"}] * 3, "time": [timed(2, 50), timed(8, 200), timed(2, 50)]},
                  {"cold": [1.0, 4.0, 1.0]})  # fmt: skip
    times = [timed(1, 100, 300), timed(4, 400), timed(1.2, 90)]
    other = Found("other", {"cold": [{"version": "1"}] * 3, "time": times}, {"cold": [2.0, 8.0, 2.0]})
    found = costs(other, first)
    assert found["ms"] == {"1": 1.2, "8": 0.6, "32": 0.3} and found["cold_s"] == 2.0 and found["peak_mb"] == 300
    assert found["clips"]["c"] == {"frames_per_s": 10.0, "faces": 4.0}
    assert found["ratios"]["ms.1"] == 2.0 and found["ratios"]["cold_s"] == 0.5 and found["ratios"]["clips.c"] == 0.5
    assert "ratios" not in costs(first, first)


def test_a_failed_round_is_left_out_of_both_sides_of_a_ratio() -> None:
    first = Found("first", {"time": [timed(2, 50), timed(3, 50)]})
    other = Found("other", {"time": [None, timed(1, 50, live_ms=20.0, live_faces=3.5)]})
    found = costs(other, first)
    assert found["ratios"]["ms.1"] == 3.0
    assert found["clips"]["c"]["live_per_s"] == 50 and found["clips"]["c"]["live_faces"] == 3.5


def test_a_package_that_never_ran_has_no_costs() -> None:
    assert costs(Found("none", {"cold": [None]}, {"cold": [None]}), Found("first")) == {"ratios": {}}


def test_what_was_read_counts_for_the_same_package_adapter_and_faces_alone() -> None:
    peer, environment = {"adapter": "fer_.py", "words": ["tflite"]}, {"kind": "python", "install": ["fer==1"]}
    sets = [labelled([0, 3])]
    key = quality_key(peer, environment, sets)
    assert key == quality_key(dict(peer), dict(environment), [labelled([0, 3])])
    assert key != quality_key(peer | {"words": ["hdf5"]}, environment, sets)
    assert key != quality_key(peer, environment | {"install": ["fer==2"]}, sets)
    assert key != quality_key(peer, environment, [labelled([0, 4])])
    assert key != quality_key(peer | {"adapter": "facex_.py"}, environment, sets)
    assert quality_key({"adapter": "moodspace_.py"}, {"kind": "wheel"}, sets) == ""


def test_search_takes_medians_of_the_rounds() -> None:
    answers = [{"version": "1", "build_ms": b, "ms": {"1": b, "8": b, "32": b}, "recall": 1.0, "peak_mb": 10 * b}
               for b in (1.0, 9.0, 2.0)]  # fmt: skip
    found = search_figures(Found("s", {"search": [*answers, None]}))
    assert found["build_ms"] == 2.0 and found["ms"]["1"] == 2.0 and found["peak_mb"] == 90


def test_a_map_is_measured_on_what_was_drawn_and_what_was_placed(tmp_path: Path) -> None:
    angles = np.linspace(0, 1.5, 200)
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    labels = (np.arange(200) >= 100).astype(np.int64)
    placed = np.arange(200) % 10 == 0
    vectors[~placed].tofile(tmp_path / "map.f32")
    vectors[placed].tofile(tmp_path / "placed.f32")
    answer = {
        "version": "1",
        "fit_s": 1.0,
        "first_place_s": 0.1,
        "place_ms": 1.0,
        "place_many_ms": 0.1,
        "peak_mb": 99.6,
    }
    found = map_figures(Found("m", {"map": [answer]}), tmp_path, vectors, labels)
    assert found["trustworthiness"] > 0.99 and found["placed_accuracy"] > 0.9 and found["peak_mb"] == 100


def test_placed_faces_are_named_by_the_drawn_ones_around_them() -> None:
    drawn = np.concatenate([np.zeros((20, 2)), np.ones((20, 2))]).astype(np.float32)
    labels = np.repeat([0, 1], 20)
    placed = np.array([[0.1, 0], [0.9, 1], [0.1, 0.1], [1, 1]], np.float32)
    assert placed_accuracy(drawn, labels, placed, np.array([0, 1, 1, 1])) == 0.75


def test_a_set_is_named_by_the_end_of_its_path_and_drawn_the_same_each_time(tmp_path: Path) -> None:
    path = tmp_path / "natural" / "validation.parquet"
    path.parent.mkdir()
    write_parquet(drawn_faces(21, seed=1), path)
    whole, part = read_set(path), read_set(path, limit=5)
    assert whole.name == "natural/validation" and whole.total == part.total == 21
    assert len(part.labels) == 5 and part.digest == read_set(path, limit=5).digest != whole.digest
    assert set(whole.labels.tolist()) <= set(range(len(CLASSES)))


def test_a_set_of_other_classes_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    write_parquet(drawn_faces(8, seed=1, classes=("angry", "happy")), path)
    with pytest.raises(ValueError, match=r"expected the classes angry, .* got angry, happy"):
        read_set(path)


def test_inputs_are_plain_arrays(tmp_path: Path) -> None:
    crops, vectors = np.arange(2 * 48 * 48).reshape(2, 48, 48).astype(np.uint8), np.eye(3, dtype=np.float32)
    assert write_inputs(tmp_path, crops, [], vectors, 5) == []
    assert (np.fromfile(tmp_path / "crops.u8", np.uint8).reshape(2, 48, 48) == crops).all()
    assert json.loads((tmp_path / "vectors.json").read_text()) == {"dim": 3}


def test_figures_that_are_not_there_hold_no_packages(tmp_path: Path) -> None:
    assert read_figures(tmp_path / "none.json") == {"peers": []}
