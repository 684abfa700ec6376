"""Session: what the visitor's live session shows over time while it is recorded, and the report to take along."""

import time
from collections.abc import Callable
from functools import partial

import streamlit as st

from realtime.session_file import SessionError
from realtime.session_reading import Session
from web.face_cards import notice
from web.live_session import LiveSession, discard_recording, stop_recording
from web.session_files import document_file, report_file, table_file
from web.session_view import overview, state, stylesheet, words
from web.theme import heading, html
from web.visitors import Visitor, this_visitor

_FILES = (
    ("Report", report_file, "html", "text/html"),
    ("CSV", table_file, "csv", "text/csv"),
    ("JSON", document_file, "json", "application/json"),
)
_UNREADABLE = "expected a recording, it cannot be read; discard it and record again"
_HOW = """
<div class="cards topics">
<article class="card"><h2>How to record</h2>
<p>Open the Live page in a tab of its own, start the camera and press <b>Record</b>. Come back here to watch the group's
expressions over time. Stop it here or there; four hours are the most.</p></article>
<article class="card"><h2>What is kept</h2>
<p>Numbers, once a second: how many faces there were, how many could be read, and the mean of what they showed. No
picture, no crop, nothing of a single face. Of groups of fewer than five faces nothing is kept at all, unless you choose
a smaller number beside the button.</p></article>
<article class="card"><h2>Where, and how long</h2>
<p>In this server's memory where it has such a place, for you alone, until you discard it or leave. Take along the
report, a page that needs no network, or the numbers as CSV or JSON.</p></article>
</div>
"""


@st.fragment(run_every=2)
def _wait(visitor: Visitor) -> None:
    """Tells how to record, until that is done in another tab."""
    if visitor.session is not None:
        st.rerun()
    html(_HOW)


@st.fragment(run_every=1)
def _follow(visitor: Visitor, session: LiveSession) -> None:
    """Shows a recording as it runs, until it is stopped or discarded, here or in another tab."""
    if visitor.session is not session or not session.recording:
        st.rerun()
    _show(session)


def _show(session: LiveSession) -> None:
    recording = session.recording
    try:
        recorded = session.read()
    except SessionError:  # its words name a folder of the server
        html(notice(_UNREADABLE))
        return
    html(state(recorded, recording=recording))
    # A place of its own for the word, so that the drawing keeps its own when the word comes or goes.
    with st.container():
        if word := words(recorded, time.time(), recording=recording):
            html(notice(word, wrong=False))
    html(overview(recorded))


def _made(make: Callable[[Session], bytes], session: LiveSession) -> bytes:
    return make(session.read())


def _take_along(session: LiveSession) -> None:
    for name, make, ending, kind in _FILES:
        st.download_button(
            name,
            partial(_made, make, session),
            f"moodspace-session.{ending}",
            kind,
            on_click="ignore",
            icon=":material/download:",
        )


def _actions(visitor: Visitor, session: LiveSession) -> None:
    with st.container(horizontal=True):
        if session.recording:
            st.button("Stop", type="primary", icon=":material/stop:", on_click=stop_recording, args=(visitor,))
        _take_along(session)
        with st.popover("Discard", icon=":material/delete:"):
            html('<p class="word">What was recorded is gone then, for good.</p>')
            st.button("Discard it all", on_click=discard_recording, args=(visitor,))


heading("Session", "What the faces of a live session show over time, recorded while you want it.")
visitor = this_visitor()
session = visitor.session
if session is None:
    _wait(visitor)
else:
    st.html(f"<style>{stylesheet()}</style>")
    _actions(visitor, session)
    if session.recording:
        _follow(visitor, session)
    else:
        _show(session)
