"""The notebooks run from top to bottom, and say what the faces show."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted((ROOT / "docs" / "notebooks").glob("*.py"))


def run(notebook: Path, folder: Path) -> str:
    """Return what a notebook prints, run from another folder."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, notebook], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_are_two() -> None:
    assert [one.stem for one in NOTEBOOKS] == ["recognize", "teach"]


def test_recognize_and_explain(tmp_path: Path) -> None:
    printed = run(ROOT / "docs" / "notebooks" / "recognize.py", tmp_path)
    assert printed.startswith("1 face: happy ")
    assert "unknown" in printed
    assert "ferplus  happy" in printed
    assert list(tmp_path.iterdir()) == []


def test_teach_and_measure(tmp_path: Path) -> None:
    printed = run(ROOT / "docs" / "notebooks" / "teach.py", tmp_path)
    recall, alarms = (float(part.split()[-1]) for part in line_with(printed, "10 taught:").split(","))
    assert recall > 0.8 > 0.2 > alarms
    _, without = (float(part.split()[-1]) for part in line_with(printed, " 0 counter-examples:").split(","))
    _, helped = (float(part.split()[-1]) for part in line_with(printed, "10 counter-examples:").split(","))
    assert helped < without
    assert "left: {}" in printed
    assert list(tmp_path.iterdir()) == []


def line_with(text: str, beginning: str) -> str:
    """Return the first line that begins with `beginning`."""
    return next(line for line in text.splitlines() if line.startswith(beginning))


@pytest.mark.parametrize("notebook", NOTEBOOKS, ids=lambda one: one.stem)
def test_each_cell_is_introduced(notebook: Path) -> None:
    cells = notebook.read_text(encoding="utf-8").split("# %%")
    assert cells[0] == "" and cells[1].startswith(" [markdown]\n# # ")
