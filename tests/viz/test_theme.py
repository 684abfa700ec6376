"""Tests of viz/theme.py."""

import re

import pytest

from moodspace.classifier.palette import COLORS, class_shades
from moodspace.viz.theme import DARK, LIGHT, mark, page, picture_style, stylesheet, text


def luminance(shade):
    channels = [int(shade[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(w * c for w, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


@pytest.mark.parametrize("tones", [LIGHT, DARK])
def test_type_is_readable_on_every_ground(tones):
    for ink in (tones.ink, tones.faint, tones.alert):
        for ground in (tones.paper, tones.raised):
            light, dark = sorted((luminance(ink), luminance(ground)), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5  # WCAG AA


def test_the_rules_use_only_properties_that_are_set():
    style = stylesheet()
    named = {"shade", "share"}  # set where an element is written
    assert set(re.findall(r"var\(--([a-z]+)", style)) <= set(re.findall(r"--([a-z]+):", style)) | named
    assert style.index(LIGHT.paper) < style.index("prefers-color-scheme: dark") < style.index(DARK.paper)


def test_a_page_is_whole_and_loads_nothing():
    made = page("a < b", "<main>body</main>", style=".own{}", script="run()")
    assert made.startswith("<!doctype html>") and made.endswith("</html>\n")
    assert "<title>a &lt; b</title>" in made and ".own{}</style>" in made
    assert made.index("<main>body</main>") < made.index("<script>run()</script>")
    assert "default-src 'none'" in made and not re.search(r"https?:|@import|url\(", made)
    assert "<script" not in page("t", "")


@pytest.mark.parametrize(
    ("given", "written"),
    [('<b a="1">&\'', "&lt;b a=&quot;1&quot;&gt;&amp;&#x27;"), ("x\udc80.png", "x?.png"), (7, "7"), ("é", "é")],
)
def test_text_is_safe(given, written):
    assert text(given) == written


def test_a_mark_has_its_color_and_an_escaped_name():
    assert mark("<i>", COLORS["sad"]) == '<span class="mark" style="--shade:#0072B2">&lt;i&gt;</span>'
    assert class_shades(("sad", "confused"))[0] == COLORS["sad"]


def test_pictures_take_the_tones():
    import matplotlib

    with matplotlib.rc_context(picture_style(DARK)):  # every name must be one that matplotlib knows
        assert matplotlib.rcParams["figure.facecolor"] == DARK.paper
        assert matplotlib.rcParams["text.color"] == DARK.ink
