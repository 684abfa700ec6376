from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from benchmarks.web import map_page
from moodspace.viz.map.page import write_page

if TYPE_CHECKING:
    from playwright.sync_api import Browser


def test_it_measures_a_page_in_use(browser: "Browser", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(map_page, "_OPENINGS", 1)
    write_page(map_page.synthetic(50), tmp_path / "map.html")
    found = map_page.measure(browser, tmp_path / "map.html")
    assert (found["page"], found["faces"], found["pictures"]) == ("map.html", 50, 0)
    assert found["mb"] == pytest.approx((tmp_path / "map.html").stat().st_size / 1e6, abs=0.01)
    assert found["first_paint_ms"] > 0 and found["map_ms"] > 0
    assert all(found[f"{name}_frame_median_ms"] > 1 for name in ("drag", "hover"))  # frames were seen while it moved


@pytest.mark.parametrize(
    ("change", "met"),
    [({}, True), ({"mb": 8.1}, False), ({"mb": 14.9, "pictures": 3}, True), ({"hover_frame_p95_ms": 50.0}, False)],
)
def test_a_missed_target_is_told(change: dict[str, float], met: bool) -> None:
    good = {"mb": 7.9, "pictures": 0} | dict.fromkeys(map_page.TARGETS, 16.7)
    assert map_page._is_met(good | change) == met
