"""The web app's style: the colors and rules of the project's pages, applied to a Streamlit app.

What the project's pages and this app share is in `viz/theme.py` and `viz/theme.css`. Those rules apply only within
`.ms`, so they leave Streamlit's own elements alone; `style.css` styles these.
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
    """Return the colors as CSS custom properties that follow the light or dark theme, and the rules that use them."""
    light, dark = asdict(LIGHT), asdict(DARK)
    tones = " ".join(f"--{name}: light-dark({light[name]}, {dark[name]});" for name in light)
    shared = _SHARED.read_text(encoding="utf-8").replace(":root", "&")
    return f":root {{ {tones} }}\n.ms {{ {shared} }}\n{_OWN.read_text(encoding='utf-8')}"


def html(body: str) -> None:
    """Show HTML in the project's style.

    Args:
        body: HTML; values from data must be escaped with `moodspace.viz.theme.text`.
    """
    st.html(f'<div class="ms">{body}</div>')


def heading(title: str, purpose: str) -> None:
    """Show a page's title and a sentence on its purpose, both plain text without markup."""
    html(f'<header class="top"><h1>{title}</h1><p class="faint">{purpose}</p></header>')


def shades(classes: tuple[str, ...]) -> dict[str, str]:
    """Return the color of each class, taught ones included, as a CSS color."""
    return dict(zip(classes, class_shades(classes), strict=True))


def mark_of(name: str, colors: dict[str, str]) -> str:
    """Return a class's name with a dot of its color before it, as HTML; a gray dot if it has no color."""
    return mark(name, colors.get(name, "var(--faint)"))
