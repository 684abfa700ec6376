"""Session: the expressions in the visitor's live session over time while it is recorded, and its report."""

import time
from collections.abc import Callable
from functools import partial

import streamlit as st

from moodspace.realtime.session.file import SessionError
from moodspace.sessions import Session
from moodspace.web.components.face_cards import notice
from moodspace.web.components.session import document_file, overview, report_file, state, stylesheet, table_file, words
from moodspace.web.components.theme import heading, html
from moodspace.web.live.session import LiveSession, discard_recording, stop_recording
from moodspace.web.server.visitors import Visitor, this_visitor

_FILES = (
    ("Report", report_file, "html", "text/html"),
    ("CSV", table_file, "csv", "text/csv"),
    ("JSON", document_file, "json", "application/json"),
)
_UNREADABLE = "the recording cannot be read; discard it and record again"
_HOW = """
<div class="cards topics">
<article class="card"><h2>How to record</h2>
<p>Open the Live page in a second tab, start the camera and press <b>Record</b>. Come back here to see the group's
expressions over time. Stop on either page. A recording ends after four hours at the latest.</p></article>
<article class="card"><h2>What is kept</h2>
<p>Numbers, once a second: how many faces were visible, how many were readable, and their mean probabilities. No
images, no crops, nothing about a single face. While fewer than five readable faces are visible, nothing is kept, unless
you choose a smaller number next to the button.</p></article>
<article class="card"><h2>Where and for how long</h2>
<p>In this server's memory if it has a memory folder, for you alone, until you discard the recording or leave. Download
the report, one page that works offline, or the numbers as CSV or JSON.</p></article>
</div>
"""


@st.fragment(run_every=2)
def _wait(visitor: Visitor) -> None:
    """Show how to record until a recording starts in another tab."""
    if visitor.session is not None:
        st.rerun()
    html(_HOW)


@st.fragment(run_every=1)
def _follow(visitor: Visitor, session: LiveSession) -> None:
    """Show a recording as it runs, until it is stopped or discarded, here or in another tab."""
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
            html('<p class="word">This permanently deletes the recording.</p>')
            st.button("Discard the recording", on_click=discard_recording, args=(visitor,))


heading("Session", "Record a live session and see how its expressions change over time.")
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
