"""The common style of pages and pictures: light and dark tones, fonts, and colors of the expressions.

The tones are defined once, here. Pages get them as CSS custom properties that follow the reader's light or dark scheme,
with the rules of `theme.css`; pictures get them as matplotlib settings. The colors of the expressions and of the user's
own classes come from `moodspace.classifier.palette.class_shades`, as in the live window.
"""

import html
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from moodspace.classifier.palette import COLORS, class_shades

__all__ = ["COLORS", "DARK", "LIGHT", "Tones", "class_shades", "mark", "page", "picture_style", "stylesheet", "text"]

_STYLE = Path(__file__).with_name("theme.css")

# Allows embedded images only: a page loads and sends nothing.
_POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'"


@dataclass(frozen=True, slots=True)
class Tones:
    """The colors besides those of the expressions, as hex; text is readable on paper and raised (WCAG AA).

    Attributes:
        paper: Background of a page or picture.
        raised: Background of cards and tooltips.
        wash: Empty parts of bars, missing images.
        ink: Text.
        faint: Secondary text: captions, axes.
        line: Rules and borders.
        alert: Text that needs attention.
    """

    paper: str
    raised: str
    wash: str
    ink: str
    faint: str
    line: str
    alert: str


LIGHT = Tones(
    paper="#fcfcfa", raised="#ffffff", wash="#f0f0ec", ink="#1d1f23", faint="#666b74", line="#e2e2de", alert="#a8321f"
)
DARK = Tones(
    paper="#14161a", raised="#1c1f25", wash="#262a31", ink="#eceef2", faint="#9aa0aa", line="#2b2f36", alert="#ff9b85"
)


def stylesheet() -> str:
    """Return the tones as CSS custom properties (`--paper`, `--ink`, ...), light and dark, then the common rules."""
    light, dark = (" ".join(f"--{name}: {value};" for name, value in asdict(tones).items()) for tones in (LIGHT, DARK))
    return (
        f":root {{ color-scheme: light dark; {light} }}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{ {dark} }} }}\n" + _STYLE.read_text(encoding="utf-8")
    )


# A recording that the page holds (blob:), or that lies beside it.
_MEDIA_POLICY = "; media-src blob: file: 'self'"


def page(
    title: str, body: str, *, style: str = "", script: str = "", own_images: bool = False, media: bool = False
) -> str:
    """Return a self-contained HTML document in the common style, which loads nothing.

    Args:
        title: Plain text for the window.
        body: HTML; pass all text from data through `text`.
        style: CSS of this page, after the common rules.
        script: JavaScript of this page, run after the body is parsed.
        own_images: Whether the page may load images from the server that it came from.
        media: Whether the page plays a recording: its own, or a file beside it.
    """
    policy = _POLICY.replace("img-src data:", "img-src data: 'self'") if own_images else _POLICY
    running = f"<script>{script}</script>\n" if script else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}{_MEDIA_POLICY if media else ""}">\n'
        f"<title>{text(title)}</title>\n<style>{stylesheet()}{style}</style>\n</head>\n"
        f"<body>\n{body}\n{running}</body>\n</html>\n"
    )


def text(value: object) -> str:
    """Escape a value for HTML elements and quoted attributes; lone surrogates, as in odd file names, become ?."""
    return html.escape(str(value).encode("utf-8", "replace").decode("utf-8"), quote=True)


def mark(name: str, shade: str) -> str:
    """Return the name of a class after a dot of its color, as HTML.

    Args:
        name: Plain text.
        shade: Hex color from `class_shades`.
    """
    return f'<span class="mark" style="--shade:{shade}">{text(name)}</span>'


def picture_style(tones: Tones = LIGHT) -> dict[str, Any]:
    """Return settings for `matplotlib.rc_context`: the tones, fonts and axes of the pages.

    The font ships with matplotlib, so that a picture is the same on every machine.
    """
    return {
        "font.family": "DejaVu Sans",
        "font.size": 11,
        "text.color": tones.ink,
        "text.parse_math": False,
        "figure.facecolor": tones.paper,
        "savefig.facecolor": tones.paper,
        "axes.facecolor": tones.paper,
        "axes.edgecolor": tones.line,
        "axes.labelcolor": tones.faint,
        "axes.titlecolor": tones.ink,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.axisbelow": True,
        "axes.grid": True,
        "grid.color": tones.line,
        "grid.linewidth": 0.8,
        "xtick.color": tones.faint,
        "ytick.color": tones.faint,
        "xtick.major.size": 0,
        "ytick.major.size": 0,
        "legend.frameon": False,
    }
