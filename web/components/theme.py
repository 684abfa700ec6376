"""The web app's look: the tones and rules of the project's pages, laid over Streamlit's own elements.

What the project's pages and this app have in common stays in `viz/theme.py` and `viz/theme.css`: its rules apply
within `.ms`, so that they leave Streamlit's own elements alone; `style.css` dresses those.
"""

from dataclasses import asdict
from functools import cache
from importlib.resources import files
from pathlib import Path

import streamlit as st

from moodspace.classifier.palette import class_shades
from moodspace.viz.theme import DARK, LIGHT, mark

_SHARED = files("moodspace.viz") / "theme.css"
_OWN = Path(__file__).parents[1] / "style.css"


@cache
def stylesheet() -> str:
    """The tones as CSS custom properties that follow the page's light or dark setting, and the rules that use them."""
    light, dark = asdict(LIGHT), asdict(DARK)
    tones = " ".join(f"--{name}: light-dark({light[name]}, {dark[name]});" for name in light)
    shared = _SHARED.read_text(encoding="utf-8").replace(":root", "&")
    return f":root {{ {tones} }}\n.ms {{ {shared} }}\n{_OWN.read_text(encoding='utf-8')}"


def html(body: str) -> None:
    """Show HTML in the project's look.

    Args:
        body: HTML; whatever came from data in it went through `viz.theme.text`.
    """
    st.html(f'<div class="ms">{body}</div>')


def heading(title: str, words: str) -> None:
    """Show a page's title and one sentence on what it is for, both plain text without markup."""
    html(f'<header class="top"><h1>{title}</h1><p class="faint">{words}</p></header>')


def shades(classes: tuple[str, ...]) -> dict[str, str]:
    """Return the color of each class, a user's own too, as a CSS color."""
    return dict(zip(classes, class_shades(classes), strict=True))


def mark_of(name: str, colors: dict[str, str]) -> str:
    """A class's name with a dot of its color before it, as HTML; gray where it has none."""
    return mark(name, colors.get(name, "var(--faint)"))
