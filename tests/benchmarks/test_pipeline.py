"""The parts of `benchmarks.pipeline`: agreement of two versions, counts of multiply-adds, peaks and tables."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.pipeline import compare, limits, profile
from benchmarks.pipeline.compare import Side, agreement
from benchmarks.pipeline.multiply_adds import int8_product, multiply_adds
from moodspace.embeddings.detection.conversion import SIDE, convert_centerface
from moodspace.embeddings.detection.detectors import bundled_weights
from moodspace.embeddings.litert import open_interpreter


def frame(*faces: tuple[int, list[float], int], smoothed: float = 0.5) -> dict[str, Any]:
    """What `side.decisions` returns for a frame with these faces: id, box, label."""
    return {
        "ids": [one for one, _, _ in faces],
        "boxes": [box for _, box, _ in faces],
        "labels": [label for _, _, label in faces],
        "shown": [label for _, _, label in faces],
        "smoothed": [[smoothed, 1 - smoothed] for _ in faces],
    }


LEFT, RIGHT = [0.0, 0.0, 10.0, 10.0], [50.0, 0.0, 10.0, 10.0]


def test_a_version_agrees_with_itself_in_any_order_of_faces() -> None:
    old, new = frame((1, LEFT, 0), (2, RIGHT, 1)), frame((2, RIGHT, 1), (1, LEFT, 0))
    found = agreement([old, frame()], [new, frame()])
    assert (found.same_count, found.paired, found.same_ids, found.same_labels, found.same_shown) == (1, 1, 1, 1, 1)
    assert found.overlap == (1, 1) and found.apart == 0


def test_what_differs_is_counted() -> None:
    moved = [0.0, 0.0, 10.0, 5.0]
    old = [frame((1, LEFT, 0), (2, RIGHT, 1)), frame((1, LEFT, 0))]
    new = [frame((1, moved, 0), (5, RIGHT, 0), smoothed=0.7), frame()]
    found = agreement(old, new)
    assert (found.same_count, found.paired, found.same_ids, found.same_labels) == (0.5, 0.8, 0.5, 0.5)
    assert found.overlap == pytest.approx((0.75, 0.5)) and found.apart == pytest.approx(0.2)


def test_other_classes_are_not_compared() -> None:
    new = frame((1, LEFT, 0)) | {"smoothed": [[0.2, 0.3, 0.5]]}
    assert agreement([frame((1, LEFT, 0))], [new]).apart is None


def test_a_folder_that_is_no_checkout_is_named(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with (
        Side(tmp_path, tmp_path / "clip.mp4", tmp_path / "bundle", 1, 1) as side,
        pytest.raises(RuntimeError, match=f"{tmp_path}: expected a checkout that can run"),
    ):
        side.do("crop")
    assert "No module named 'benchmarks'" in capfd.readouterr().err


class Noted:
    """A side that notes the order of the jobs."""

    def __init__(self, name: str, done: list[str]) -> None:
        self.name, self.done = name, done

    def do(self, job: str) -> str:
        self.done.append(self.name)
        return self.name


def test_each_version_goes_first_in_every_second_round() -> None:
    done: list[str] = []
    sides: Any = (Noted("old", done), Noted("new", done))
    assert compare._in_turn(*sides, "crop", 3) == [("old", "new")] * 3
    assert done == ["old", "new", "new", "old", "old", "new"]


def test_multiply_adds_are_those_of_the_layers() -> None:
    assert multiply_adds(int8_product(6, 5, 4)) == 6 * 5 * 4
    network = convert_centerface(bundled_weights())
    small, large = (multiply_adds(network.resized(height=SIDE * by, width=SIDE)) for by in (1, 2))
    assert large == 2 * small
    # Counted by hand: its first layer alone, 3x3x3 to 32 channels at half the side.
    assert small > (SIDE // 2) ** 2 * 32 * 27


def test_the_8_bit_product_multiplies() -> None:
    product = open_interpreter(int8_product(3, 4, 2), 1)
    tensors = {one["name"]: one for one in product.get_tensor_details()}
    first = np.array([[100, 0, 0, 0], [0, 100, -100, 0], [127, 127, 127, 127]], np.int8)
    weights = product.get_tensor(tensors["weights"]["index"])
    product.set_tensor(tensors["input"]["index"], first)
    product.invoke()
    wanted = np.rint(first.astype(float) @ weights.T.astype(float) / 128**2)
    np.testing.assert_allclose(product.get_tensor(tensors["output"]["index"]), wanted, atol=1)


def test_the_fastest_call_counts() -> None:
    ticks = iter([0.0, 5.0, 10.0, 12.0, 20.0, 23.0])
    assert limits.fastest_s(lambda: None, 3, lambda: next(ticks)) == 2.0


def test_limits_state_each_stage_for_one_and_two_threads(shipped: Path) -> None:
    found = limits.limits(shipped, 1)
    rows = [line for line in limits.table(found).splitlines() if "|" in line][2:]
    assert len(rows) == 6 and all("%" in row for row in rows)
    for block in found["threads"].values():
        encoder, detector, search = block["stages"].values()
        assert encoder["of"] in ("int8", "float32") and detector["of"] == "float32" and search["megabytes"] > 0


def test_a_profile_names_the_networks(shipped: Path, clip: Path) -> None:
    found = profile.profile(clip, shipped, 1, 5)
    assert all(len(rows) == 5 for rows in found.values())
    assert any("Invoke" in row["function"] for rows in found.values() for row in rows)
    assert "processor ms a frame" in profile.table(found)


def test_a_table_of_a_comparison_has_all_stages() -> None:
    one = {"old": 2.0, "new": 1.0, "old_least": 2.0, "new_least": 1.0, "ratio": 2.0}
    alike = agreement([frame()], [frame()])
    scene = {
        "name": "the clip", "ms": one, "cpu_ms": one, "stages_ms": {"encode": one},
        "agreement": {name: getattr(alike, name) for name in alike.__slots__},
    }  # fmt: skip
    text = compare.table({"load": 0.1, "clip": scene, "montage": scene, "crop": {"ms": one, "cpu_ms": one}})
    assert "| the clip: frames a second | 500.0 | 1000.0 | 500.0 | 1000.0 | 2.00 |" in text
    assert "| the clip: encode, ms a frame | 2.00 | 1.00 |" in text and "same label shown 100.0%" in text
