"""Session: the expressions in the visitor's live session over time while it is recorded, and its report."""

import time
from collections.abc import Callable
from functools import partial

import streamlit as st

from moodspace.realtime.session.file import SessionError
from moodspace.sessions import Session
from moodspace.web.components.face_cards import notice
from moodspace.web.components.recording import (
    document_file,
    mark_command,
    overview,
    problem,
    report_file,
    state,
    stylesheet,
    table_file,
)
from moodspace.web.components.theme import heading, html
from moodspace.web.server.recording import Recording
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
<p>Start the camera on the Live page and press <b>Record</b>. Then come back here to see the group's expressions over
time: the session goes on, with a sign. Stop on either page. A recording ends after four hours at the latest.</p>
</article>
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
    """Explain how to record until a recording starts."""
    if visitor.recording is not None:
        st.rerun()
    html(_HOW)


@st.fragment(run_every=1)
def _follow(visitor: Visitor, recording: Recording) -> None:
    """Show a running recording until it is stopped or discarded, here or in another tab."""
    if visitor.recording is not recording or not recording.running:
        st.rerun()
    _show(recording)


def _show(recording: Recording) -> None:
    running = recording.running
    try:
        session = recording.read()
    except SessionError:  # its message names a folder of the server
        html(notice(_UNREADABLE))
        return
    html(state(session, recording=running))
    # In a container, so that the chart keeps its position when the message appears or disappears.
    with st.container():
        if message := problem(session, time.time(), recording=running):
            html(notice(message, wrong=False))
    html(overview(session))


def _actions(visitor: Visitor, recording: Recording) -> None:
    with st.container(horizontal=True):
        if recording.running:
            st.button("Stop", type="primary", icon=":material/stop:", on_click=visitor.stop_recording)
        _downloads(recording)
        if recording.running:
            with st.popover("Mark events", icon=":material/flag:"):
                html('<p class="word">Press Mark on the Live page, or let another program send events:</p>')
                st.code(mark_command(st.context.url or "", recording.token), language="bash", wrap_lines=True)
        with st.popover("Discard", icon=":material/delete:"):
            html('<p class="word">This permanently deletes the recording.</p>')
            st.button("Discard the recording", on_click=visitor.discard_recording)


def _downloads(recording: Recording) -> None:
    for name, make, suffix, mime in _FILES:
        st.download_button(
            name,
            partial(_made, make, recording),
            f"moodspace-session.{suffix}",
            mime,
            on_click="ignore",
            icon=":material/download:",
        )


def _made(make: Callable[[Session], bytes], recording: Recording) -> bytes:
    return make(recording.read())


heading("Session", "Record a live session and see how its expressions change over time.")
visitor = this_visitor()
recording = visitor.recording
if recording is None:
    _wait(visitor)
else:
    st.html(f"<style>{stylesheet()}</style>")
    _actions(visitor, recording)
    if recording.running:
        _follow(visitor, recording)
    else:
        _show(recording)
