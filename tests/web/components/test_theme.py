"""The web app's look is that of the project's pages."""

import re
import tomllib
from pathlib import Path

import pytest

from moodspace.realtime.drawing.canvas import class_colors, from_hex
from moodspace.viz.theme import DARK, LIGHT, Tones
from moodspace.web.components.theme import shades, stylesheet
from moodspace.web.live.messages import class_list
from tests.viz.conftest import make_map

__all__ = ["make_map"]  # a fixture

ROOT = Path(__file__).parents[3]
CHECKOUTS, PACKAGES = (folder / ".streamlit" / "config.toml" for folder in (ROOT, ROOT / "web"))
CONFIG = tomllib.loads(PACKAGES.read_text(encoding="utf-8"))
TYPE = (ROOT / "viz" / "theme.css").read_text(encoding="utf-8")


@pytest.mark.parametrize(("scheme", "tones"), [("light", LIGHT), ("dark", DARK)])
def test_streamlit_paints_in_the_tones_of_the_project(scheme: str, tones: Tones) -> None:
    theme = CONFIG["theme"][scheme]
    assert {
        "primaryColor": tones.ink,
        "backgroundColor": tones.paper,
        "secondaryBackgroundColor": tones.wash,
        "textColor": tones.ink,
        "linkColor": tones.ink,
        "borderColor": tones.line,
        "dataframeBorderColor": tones.line,
        "grayColor": tones.faint,
        "redColor": tones.alert,
        "redTextColor": tones.alert,
        "codeTextColor": tones.ink,
        "codeBackgroundColor": tones.wash,
    } == theme


def test_the_installed_app_and_the_cloud_are_configured_alike() -> None:
    assert PACKAGES.read_bytes() == CHECKOUTS.read_bytes()


def test_type_is_that_of_the_project() -> None:
    assert CONFIG["theme"]["font"] == re.search(r"--type: (.*);", TYPE)[1]
    assert f"--body: {CONFIG['theme']['baseFontSize']}px" in TYPE


def test_nothing_is_reported_and_nobody_is_asked() -> None:
    assert CONFIG["browser"]["gatherUsageStats"] is False
    assert CONFIG["server"]["headless"] is True
    assert CONFIG["client"]["showErrorDetails"] == "none"


def test_the_stylesheet_has_every_tone_for_light_and_dark() -> None:
    for name in Tones.__slots__:
        assert f"--{name}: light-dark({getattr(LIGHT, name)}, {getattr(DARK, name)});" in stylesheet()


def test_the_pages_rules_stay_within_what_the_app_draws() -> None:
    """Rules for bare elements, such as those for sections and tables, would take Streamlit's own elements apart."""
    own = (ROOT / "web" / "style.css").read_text(encoding="utf-8")
    selectors = re.findall(r"^([^\s{}/*@][^{]*?)\s*\{", own, re.MULTILINE)
    assert selectors
    assert [one for one in selectors if not re.match(r"\.|\[", one)] == []
    assert ":root" not in stylesheet().split(".ms {", 1)[1]


def test_a_taught_class_has_one_color_on_box_panel_pages_and_map(make_map) -> None:
    # Each draws the classes in an order of its own: taught ones last, by name, or as they came.
    taught, known = ("zany", "bored", "confused"), ("happy", "sad")
    window = dict(zip((*known, *sorted(taught)), class_colors((*known, *sorted(taught))), strict=True))
    live = {one["name"]: one["shade"] for one in class_list((*known, *sorted(taught)))}
    page = shades((*reversed(taught), *known))
    on_map = {group.name: (group.shade, group.dark) for group in make_map(90, (*taught, *known)).groups}
    for name in (*known, *taught):
        assert live[name] == page[name] == on_map[name][0] == on_map[name][1]
        assert window[name] == from_hex(live[name])
