"""The wheel has every file that the web app reads."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def shipped(package: str) -> set[Path]:
    """Return the data files of a package that setuptools puts into a wheel."""
    folder = ROOT / SETUPTOOLS["package-dir"][package]
    return {path for pattern in SETUPTOOLS["package-data"][package] for path in folder.glob(pattern) if path.is_file()}


def test_all_styles_scripts_and_settings_of_the_app_are_shipped() -> None:
    files = {path for path in (ROOT / "web").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert files == shipped("moodspace.web") and len(files) > 10


def test_the_model_card_is_shipped() -> None:
    assert shipped("moodspace.docs") == {ROOT / "docs" / "model-card.md"}


def test_all_packages_of_the_app_are_shipped() -> None:
    folders = {path.parent.relative_to(ROOT) for path in (ROOT / "web").rglob("*.py")}
    assert {".".join(("moodspace", *folder.parts)) for folder in folders} <= set(SETUPTOOLS["packages"])
