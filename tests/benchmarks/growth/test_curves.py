"""Tests of growth curves: where they bend, what is drawn, and what the gallery's curve measures."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.growth import __main__ as growth
from benchmarks.growth import gallery
from benchmarks.growth.curves import Curve, curve_from_json, fit_line
from benchmarks.growth.draw import draw_curves
from benchmarks.growth.frames import crowd_frames


def curve(values: dict[float, float], *, limit: bool = False) -> Curve:
    points = [{"at": at, "ms": value} for at, value in values.items()]
    return Curve("a", "things", "ms", "ms", limit, points)


def test_a_cost_bends_where_its_growing_part_equals_the_fixed_part() -> None:
    found = curve({at: 40 + 5 * at for at in (1, 2, 4, 8, 16, 32)})
    assert found.bend() == pytest.approx(8)
    assert found.exponents()[0] < 0.2 and found.exponents()[-1] > 0.7


def test_what_is_proportional_or_flat_does_not_bend() -> None:
    assert curve({1: 2, 10: 20, 100: 200}).bend() is None
    assert curve({1: 2, 10: 20, 100: 200}).exponents() == [1, 1]
    assert curve({1: 3, 10: 3}).bend() is None and curve({1: 3}).bend() is None
    assert fit_line([1, 2, 3], [5, 4, 3])[1] == 0


def test_a_throughput_bends_where_it_reaches_its_limit() -> None:
    assert curve({1: 5, 2: 10, 4: 19, 8: 20, 16: 18}, limit=True).bend() == 4
    assert curve({1: 5, 2: 10, 4: 20}, limit=True).bend() is None


def test_a_curve_survives_json() -> None:
    one = curve({1: 2, 10: 20})
    assert curve_from_json(json.loads(json.dumps(one.to_json()))) == one


def test_curves_are_drawn_and_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = tmp_path / "growth.jsonl"
    lines.write_text(json.dumps(curve({1: 45, 8: 80, 32: 200}).to_json()) + "\n")
    monkeypatch.setattr(sys, "argv", ["growth", "--read", str(lines), "--draw", str(tmp_path / "growth.svg")])
    growth.main()
    assert "bends at 8" in capsys.readouterr().out
    assert "bends at 8" in (tmp_path / "growth.svg").read_text()
    draw_curves([curve({1: 2, 10: 20})] * 3, tmp_path / "three.png")
    assert (tmp_path / "three.png").stat().st_size > 1000


@pytest.mark.parametrize("words", [["nothing"], ["--read", "missing.jsonl"]])
def test_bad_arguments_are_one_line(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["growth", *words])
    with pytest.raises(SystemExit) as end:
        growth.main()
    assert end.value.code == 2 and "expected " in capsys.readouterr().err.splitlines()[-1]


def test_frames_have_as_many_faces_as_asked() -> None:
    one, many = (crowd_frames(count, (640, 360), 2) for count in (1, 32))
    assert one[0].shape == (360, 640, 3) and not np.array_equal(one[0], one[1])
    painted = [(np.abs(frames[0].astype(int) - 97).max(axis=2) > 12).mean() for frames in (one, many)]
    assert painted[1] / painted[0] == pytest.approx(32, rel=0.1)


def test_both_searches_of_the_gallery_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gallery, "_IVF_FROM", 2000)
    monkeypatch.setattr(gallery, "_QUERIES", 20)
    found = {one.name: one for one in gallery.gallery_curves([1000, 2000])}
    assert [point["at"] for point in found["gallery_exact"].points] == [1000, 2000]
    (lists,) = found["gallery_lists"].points
    assert lists["recall_at_10"] > 0.9 and lists["lists"] == 134 and 0 < lists["lists_searched"] <= 134
