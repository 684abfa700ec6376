"""Lay the package out in one folder, as a wheel has it, with the tests of one folder beside it, for mutmut."""

import shutil
import tomllib
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parents[2]
# What else tests read from the top of the repository.
BESIDE = ("bundles", "cli.py", "LICENSE")
# Tests with these marks are not run: each mutant should take a few seconds.
_MARKS = "not slow and not benchmark and not camera"
_LEFT_OUT = shutil.ignore_patterns("__pycache__", "node_modules", "browser")


def lay_out(target: Path, folder: str) -> None:
    """Copy the package, its tests and mutmut's settings; what mutmut found before stays.

    Args:
        target: Where to.
        folder: The top-level folder whose code is changed, such as "index".
    """
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]
    packages = settings["setuptools"]["package-dir"]
    target.mkdir(parents=True, exist_ok=True)
    top = {name.split(".")[1]: place for name, place in packages.items() if name.count(".") == 1}
    _copy(ROOT / packages["moodspace"], target / "moodspace")
    for name, place in top.items():
        _copy(ROOT / place, target / "moodspace" / name)
    _copy(ROOT / "tests", target / "tests")
    for name in BESIDE:
        _copy(ROOT / name, target / name)
    (target / "pyproject.toml").write_text(_settings(folder, settings["pytest"]["ini_options"]), encoding="utf-8")
    refresh(target)


def refresh(target: Path) -> None:
    """Bring the tests that mutmut copied before up to date; it copies them only once."""
    if (target / "mutants").exists():
        for name in ("tests", "pyproject.toml"):
            _copy(target / name, target / "mutants" / name)


def _copy(source: Path, target: Path) -> None:
    """Copy a file or folder; unchanged files keep their time, by which mutmut tells what changed."""
    if source.is_file():
        if not target.exists() or target.read_bytes() != source.read_bytes():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target)
        return
    names = [path.name for path in source.iterdir()]
    left_out = _LEFT_OUT(str(source), names)
    for name in names:
        if name not in left_out:
            _copy(source / name, target / name)


def _settings(folder: str, pytest: dict[str, object]) -> str:
    mutmut = {
        "source_paths": ["moodspace"],
        "only_mutate": [f"moodspace/{folder}/*"],
        "also_copy": list(BESIDE),
        "pytest_add_cli_args": ["-p", "no:cacheprovider", "-p", "no:xdist", "-m", _MARKS],
        "pytest_add_cli_args_test_selection": [f"tests/{folder}"],
        # Libraries with threads do not survive a fork of the process that ran the tests.
        "process_isolation": "forkserver",
        "track_dependencies": False,
        "use_git_change_detection": False,
    }
    return "\n".join(
        ["[tool.pytest.ini_options]", *_lines(pytest.items()), "", "[tool.mutmut]", *_lines(mutmut.items()), ""]
    )


def _lines(values: Iterable[tuple[str, object]]) -> list[str]:
    return [f"{name} = {_toml(value)}" for name, value in values]


def _toml(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return "'''" + str(value) + "'''"
