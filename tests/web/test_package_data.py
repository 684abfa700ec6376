"""The wheel has every file that the web app reads."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
SETUPTOOLS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]


def shipped(package: str) -> set[Path]:
    """Return the data files of a package that setuptools puts into a wheel."""
    folder = ROOT / SETUPTOOLS["package-dir"][package]
    return {path for pattern in SETUPTOOLS["package-data"][package] for path in folder.glob(pattern) if path.is_file()}


def is_source_of_the_static_site(path: Path) -> bool:
    """Return whether a file belongs to the static site, of which only the built pages are shipped."""
    browser = ROOT / "web" / "browser"
    return path.is_relative_to(browser) and not path.is_relative_to(browser / "dist")


def test_all_styles_scripts_and_settings_of_the_app_are_shipped() -> None:
    found = (path for path in (ROOT / "web").rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc"))
    files = {path for path in found if not is_source_of_the_static_site(path)}
    assert files == shipped("moodspace.web") and len(files) > 10


def test_the_model_card_is_shipped() -> None:
    assert shipped("moodspace.docs") == {ROOT / "docs" / "model-card.md"}


def test_all_packages_of_the_app_are_shipped() -> None:
    scripts = (path for path in (ROOT / "web").rglob("*.py") if not is_source_of_the_static_site(path))
    folders = {path.parent.relative_to(ROOT) for path in scripts}
    assert {".".join(("moodspace", *folder.parts)) for folder in folders} <= set(SETUPTOOLS["packages"])
