"""The frame around every page: navigation, a banner on privacy, and a footer with the law."""

from pathlib import Path

import streamlit as st

from moodspace.web.components.texts import LAW
from moodspace.web.components.theme import html, stylesheet

_SCRIPTS = Path(__file__).parents[1] / "pages"
_LOGO = Path(__file__).parents[1] / "static" / "logo.svg"
_ICON = _LOGO.with_name("icon.svg")

# File and address, title, and Material symbol of each page, in navigation order; the first is the start page.
_PAGES = (
    ("live", "Live", "videocam"),
    ("photo", "Photo", "image"),
    ("video", "Video", "movie"),
    ("map", "Map", "bubble_chart"),
    ("teach", "Teach", "school"),
    ("session", "Session", "timeline"),
    ("about", "About", "info"),
)
_NOTICE = Path(__file__).parents[1] / "static" / "notice"

STORED_NOTHING = (
    "<b>Your pictures go to this server and nowhere else.</b> They are processed in memory, then discarded; "
    "what you teach is deleted when you leave."
)
STORED_TAUGHT = (
    "<b>Your pictures go to this server and nowhere else.</b> They are processed in memory, then discarded; "
    "the server keeps the embeddings of faces that you teach, and pictures only if you switch that on."
)


def navigation() -> st.Page:
    """Style the app and return the page that the visitor requested; run it between `banner` and `footer`."""
    st.set_page_config(page_title="Moodspace", page_icon=str(_ICON), layout="wide")
    st.html(f"<style>{stylesheet()}</style>")
    pages = [
        st.Page(_SCRIPTS / f"{name}.py", title=title, icon=f":material/{icon}:", default=at == 0)
        for at, (name, title, icon) in enumerate(_PAGES)
    ]
    st.logo(str(_LOGO), size="medium")
    current = st.navigation(pages, position="top")
    _tabs(pages, current)
    return current


def _tabs(pages: list[st.Page], current: st.Page) -> None:
    """Show the pages as tabs at the bottom of a phone's screen, where Streamlit's drawer would cover the page."""
    with st.container(key="tabs"):
        for page in pages:
            with st.container(key="tab-current" if page.title == current.title else None):
                st.page_link(page)


def sends(min_group: int) -> str:
    """Return what a server that sends values of live pages tells its visitors, as HTML.

    Args:
        min_group: Smallest group whose values are sent.
    """
    group = "what your faces show" if min_group == 1 else f"what groups of at least {min_group} faces show"
    return f"While a camera is on, this server also sends {group} to other programs: numbers, never pictures."


def privacy(*, keeps_taught: bool, sends_from: int | None = None) -> str:
    """Return how the app processes pictures and what it keeps, as HTML.

    Args:
        keeps_taught: Whether the operator set a folder that keeps taught faces.
        sends_from: Smallest group whose values the operator sends to other programs; None if none are sent.
    """
    sent = "" if sends_from is None else f"<p>{sends(sends_from)}</p>"
    kept = (
        "What you teach stays on this server until you forget it: the embedding of each face, its class and the name "
        "of its file; a small gray picture only if you switch that on."
        if keeps_taught
        else "What you teach is held in memory and deleted a few seconds after you leave; export it to keep it."
    )
    return (
        "<p>Pictures, videos and camera frames go to this server and nowhere else. They are processed in memory, then "
        "discarded; the file of a video lies in a private folder while it is analyzed. Faces are not identified. No "
        "usage statistics are collected, and nothing is loaded from other servers.</p>"
        f"{sent}<p>{kept} Your browser keeps one cookie, which distinguishes your visit from others.</p>"
    )


def banner(*, keeps_taught: bool) -> None:
    """Show where pictures are processed until the visitor dismisses it, once a browser unless the text changes.

    Args:
        keeps_taught: Whether the operator set a folder that keeps taught faces.
    """
    # Always there, though mostly empty: the elements after it must keep their position, or a camera would restart.
    with st.container(key="banner"):
        texts = {path.suffix: path.read_text(encoding="utf-8") for path in _NOTICE.iterdir()}
        show = st.components.v2.component("moodspace_notice", html=texts[".html"], css=texts[".css"], js=texts[".js"])
        show(data={"text": STORED_TAUGHT if keeps_taught else STORED_NOTHING}, key="notice")


def footer() -> None:
    """Show what a prediction means, and the law."""
    with st.container(key="footer"):
        html(f'<footer class="foot">{LAW}</footer>')
