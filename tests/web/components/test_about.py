"""What the About page says is what the repository says."""

import re
from importlib import metadata
from pathlib import Path
from types import SimpleNamespace

from moodspace.web.components import about
from moodspace.web.components.about import licenses, limits_list, model_card, versions
from moodspace.web.components.frame import privacy
from moodspace.web.server.settings import Limits


def test_the_model_card_is_whole_and_links_nowhere_in_the_repository() -> None:
    card = model_card()
    assert card.startswith("**What it is.**") and "## Licenses" in card
    assert re.findall(r"\]\((?!https?://)", card) == []


def test_limits_versions_and_licenses_are_told() -> None:
    limits = Limits()
    assert f"{limits.video_seconds:.0f} seconds" in limits_list(limits)
    assert f"<dd>{limits.visitors}</dd>" in limits_list(limits)
    assert "<dt>Python</dt>" in versions() and "<dt>streamlit</dt>" in versions()
    assert "FER2013" in licenses()


def test_an_installed_package_has_the_notice_in_its_metadata(monkeypatch, tmp_path) -> None:
    asked: list[str] = []
    installed = SimpleNamespace(read_text=lambda name: asked.append(name) or "the notice")
    monkeypatch.setattr(about, "_ROOT", tmp_path)
    monkeypatch.setattr(metadata, "distribution", lambda name: installed)
    assert licenses() == "the notice" and asked == ["licenses/NOTICE"]
    project = Path(__file__).parents[3] / "pyproject.toml"
    assert '"NOTICE"' in next(line for line in project.read_text().splitlines() if line.startswith("license-files"))


def test_packages_that_are_not_installed_have_no_version(monkeypatch) -> None:
    def version(name: str) -> str:
        if name == "opencv-python":  # as in the container
            raise metadata.PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(metadata, "version", version)
    assert "<dt>opencv-python</dt>" not in versions() and "<dt>opencv-python-headless</dt>" in versions()


def test_what_is_kept_is_told_as_it_is() -> None:
    assert "deleted a few seconds after you leave" in privacy(keeps_taught=False)
    assert "stays on this server until you forget it" in privacy(keeps_taught=True)
    assert "other programs" not in privacy(keeps_taught=True)
    told = "this server also sends what groups of at least 5 faces show to other programs: numbers, never pictures"
    assert told in privacy(keeps_taught=False, sends_from=5)
    assert "sends what your faces show" in privacy(keeps_taught=False, sends_from=1)
