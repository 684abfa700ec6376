"""The floor of coverage: what counts, and what fails."""

import json
from pathlib import Path

import pytest

from tests import coverage_floor


def report(path: Path, covered: int, of: int = 1000, **others: tuple[int, int]) -> str:
    parts = {"index/search.py": (covered, of), **{name.replace("__", "/") + ".py": one for name, one in others.items()}}
    files = {
        name: {
            "summary": {"covered_branches": some, "num_branches": all_, "covered_lines": some, "num_statements": all_}
        }
        for name, (some, all_) in parts.items()
    }
    path.write_text(json.dumps({"files": files}))
    return str(path)


def test_a_share_below_the_floor_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert coverage_floor.main([report(tmp_path / "a.json", 1000)]) == 0
    assert coverage_floor.main([report(tmp_path / "a.json", 950)]) == 1
    assert capsys.readouterr().err == "lines: expected at least 97.3 %, got 95.00 %\n"
    assert coverage_floor.main([report(tmp_path / "a.json", 900)]) == 1
    assert "branches: expected at least 94.0 %, got 90.00 %" in capsys.readouterr().err


def test_files_count_by_their_size_and_the_window_is_shown_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = report(tmp_path / "a.json", 1000, web__server__a=(0, 10), realtime__window__loop=(0, 1000))
    assert coverage_floor.main([path]) == 0
    rows = {line[:20].strip(): line.split()[-1] for line in capsys.readouterr().out.splitlines()[1:]}
    assert rows == {"index": "100.0", "web": "0.0", "realtime/window": "0.0", "all but window": "99.0"}


def test_a_report_without_branches_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"files": {"index/a.py": {"summary": {"covered_lines": 1, "num_statements": 1}}}}))
    with pytest.raises(ValueError, match="expected covered_branches, got none"):
        coverage_floor.main([str(path)])
