"""A recording as the Session page shows it, made of the parts of a session's report."""

import re
from pathlib import Path

from realtime.session_reading import WITHHELD, Session
from viz.report_changes import changes
from viz.report_data import Report
from viz.report_figures import clock
from viz.report_page import drawn_stretches
from viz.report_sections import key_figures, moments, timeline
from web.live_session import LONGEST_S
from web.timeline import picture

_STYLE = Path(__file__).parents[1] / "viz" / "page" / "report.css"
_DRAWING = re.compile(r"<svg .*?</svg>", re.DOTALL)

# The newest second is known up to two seconds late: only after so many seconds without one do frames seem to miss.
_QUIET_AFTER_S = 5.0


def stylesheet() -> str:
    """The rules of a report, for what `overview` makes alone."""
    return f".ms .report {{ {_STYLE.read_text(encoding='utf-8')} }}"


def overview(session: Session) -> str:
    """Summarize a recording as HTML: key figures, shares over time, moments of change.

    Args:
        session: The recording, whole or as far as it is.
    """
    report = Report.of(session)
    found = changes(report.group)
    parts = key_figures(report, found)
    if report.group.recorded.any():
        parts += timeline(report, drawn_stretches(report), found) + moments(report, found)
    # Streamlit takes drawings out of HTML, but not pictures.
    return f'<div class="report">{_DRAWING.sub(lambda drawing: picture(drawing[0]), parts)}</div>'


def state(session: Session, *, recording: bool) -> str:
    """Return what is recorded, or was, or what a recording waits for, as HTML."""
    faces = f"{session.min_group} {'face' if session.min_group == 1 else 'faces'}"
    if recording and len(session.group.readable) and session.group.readable[-1] == WITHHELD:
        return f'<p class="state waiting"><b>Waiting</b> {faces} needed</p>'
    on, words = (" on", "Recording") if recording else ("", "Recorded")
    are = "is" if session.min_group == 1 else "are"
    return f'<p class="state{on}"><b>{words}</b> while at least {faces} {are} visible</p>'


def words(session: Session, now: float, *, recording: bool) -> str | None:
    """Return what is wrong with a recording as plain text, or None.

    Args:
        session: The recording, whole or as far as it is.
        now: Unix seconds.
        recording: Whether it goes on.
    """
    if (session.group.readable == WITHHELD).all():
        return _word_on_nothing(session, recording=recording)
    if recording:
        return _word_on_silence(session, now)
    if session.ended is not None and session.ended - session.started >= LONGEST_S:
        return f"The recording ended after {LONGEST_S / 3600:.0f} hours, the longest that is recorded at once."
    return " ".join(session.missing) or None


def _word_on_nothing(session: Session, *, recording: bool) -> str:
    if not len(session.group.second):
        return "Nothing recorded yet. Start the camera on the Live page, in a second tab."
    if session.min_group == 1:
        return "Nothing recorded yet: no readable face has been in view."
    if recording:
        return (
            f"Nothing recorded yet: at least {session.min_group} readable faces are needed. Wait for more faces, or "
            "discard this recording and start one for a smaller group on the Live page."
        )
    return (
        f"Nothing was recorded: at least {session.min_group} readable faces were needed. Discard this recording and "
        "start one for a smaller group on the Live page."
    )


def _word_on_silence(session: Session, now: float) -> str | None:
    silent = now - float(session.group.wall[-1])
    if silent < _QUIET_AFTER_S:
        return None
    return (
        f"No frame for {clock(silent)}. The camera runs only while the Live page is open. Open it in a second tab and "
        "start the camera; this recording then continues."
    )
