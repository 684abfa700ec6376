"""Doctor checks the packages that pyproject.toml names, and names a remedy for each one that is missing."""

import importlib.metadata
import re
import tomllib
from pathlib import Path

import pytest

from moodspace.realtime import doctor

ROOT = Path(__file__).parents[2]


def names(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=\[; ]", one)[0] for one in requirements}


def test_all_dependencies_are_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = names([one for group in project["optional-dependencies"].values() for one in group]) - {"moodspace"}
    assert set(doctor._REQUIRED) == names(project["dependencies"])
    assert set(doctor._OPTIONAL) == extras
    for name, (_, extra) in doctor._OPTIONAL.items():
        assert name in names(project["optional-dependencies"][extra])


def test_a_missing_package_has_a_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def missing(name: str) -> str:
        raise importlib.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(importlib.metadata, "version", missing)
    findings = {one.what: one for one in doctor.examine(tmp_path / "none", camera="987")}
    for name in doctor._REQUIRED:
        assert findings[name] == doctor.Finding(name, "broken", "not installed", f"pip install {name}", 1)
    for name in doctor._OPTIONAL:
        assert (findings[name].state, findings[name].exit_code) == ("absent", 0)
        assert findings[name].remedy.startswith("to ") and "pip install" in findings[name].remedy
    assert findings["detector"].state == "ok"


def test_opencv_without_windows_is_opencv(monkeypatch: pytest.MonkeyPatch) -> None:
    def version(name: str) -> str:
        if name == "opencv-python":
            raise importlib.metadata.PackageNotFoundError(name)
        return "5.0"

    monkeypatch.setattr(importlib.metadata, "version", version)
    found = doctor._package("opencv-python", "pip install opencv-python", 1)
    assert found == doctor.Finding("opencv-python", "ok", "5.0 (opencv-python-headless)")
