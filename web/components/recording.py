"""A recording as the Session page shows it, and as files to download; built from the parts of a session's report."""

import json
import re
from datetime import UTC, datetime
from importlib.resources import files
from typing import Any
from urllib.parse import urlsplit

from moodspace.arrays import FloatArray
from moodspace.realtime.session.document import FORMAT, VERSION
from moodspace.realtime.session.export import export_session
from moodspace.sessions import WITHHELD, Session
from moodspace.viz.report.changes import Change, changes
from moodspace.viz.report.figures import clock
from moodspace.viz.report.page import drawing_bins, report_page
from moodspace.viz.report.sections import events, key_figures, moments, timeline
from moodspace.web.components.timeline import picture
from moodspace.web.server.recording import LONGEST_S

_STYLE = files("moodspace.viz.report") / "report.css"
_DRAWING = re.compile(r"<svg .*?</svg>", re.DOTALL)
_DIGITS = 4
_TABLE = "session.csv"
# The newest second is stored up to two seconds late; no frame arrived if it is older than this.
_SILENT_AFTER_S = 5.0


def stylesheet() -> str:
    """Return the CSS rules of a report, limited to the output of `overview`."""
    return f".ms .report {{ {_STYLE.read_text(encoding='utf-8')} }}"


def overview(session: Session) -> str:
    """Summarize a recording as HTML: key figures, shares over time, moments of change.

    Args:
        session: The recording, complete or still running.
    """
    found = changes(session.group)
    parts = key_figures(session, found)
    if session.group.recorded.any():
        parts += timeline(session, drawing_bins(session), found) + events(session) + moments(session, found)
    # Streamlit removes SVG from HTML, but not pictures.
    return f'<div class="report">{_DRAWING.sub(lambda drawing: picture(drawing[0]), parts)}</div>'


def state(session: Session, *, recording: bool) -> str:
    """Return the state of a recording as HTML: recording, waiting for faces, or recorded."""
    faces = f"{session.min_group} {'face' if session.min_group == 1 else 'faces'}"
    if recording and len(session.group.readable) and session.group.readable[-1] == WITHHELD:
        return f'<p class="state waiting"><b>Waiting</b> {faces} needed</p>'
    style, verb = (" on", "Recording") if recording else ("", "Recorded")
    verb_of_faces = "is" if session.min_group == 1 else "are"
    return f'<p class="state{style}"><b>{verb}</b> while at least {faces} {verb_of_faces} visible</p>'


def problem(session: Session, now: float, *, recording: bool) -> str | None:
    """Return why a recording is empty, silent or incomplete, as plain text; None if all is well.

    Args:
        session: The recording, complete or still running.
        now: The time in Unix seconds.
        recording: Whether the recording is running.
    """
    if (session.group.readable == WITHHELD).all():
        return _why_empty(session, recording=recording)
    if recording:
        return _why_silent(session, now)
    if session.ended is not None and session.ended - session.started >= LONGEST_S:
        return f"The recording ended after {LONGEST_S / 3600:.0f} hours, the maximum length."
    return " ".join(session.missing) or None


def _why_empty(session: Session, *, recording: bool) -> str:
    if not len(session.group.second):
        return "Nothing recorded yet. Start the camera on the Live page."
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


def _why_silent(session: Session, now: float) -> str | None:
    silent = now - float(session.group.wall[-1])
    if silent < _SILENT_AFTER_S:
        return None
    return (
        f"No frame for {clock(silent)}: the camera is not running. Start it on the Live page; this recording then "
        "continues."
    )


def mark_command(url: str, token: str) -> str:
    """Return a shell command that marks an event in a recording.

    Args:
        url: The address of a page of the app.
        token: The recording's token.
    """
    parts = urlsplit(url)
    server = f"{parts.scheme}://{parts.netloc}" if parts.netloc else "http://localhost:8501"
    return f"curl {server}/mark -H 'Authorization: Bearer {token}' -d '{{\"name\": \"stimulus on\"}}'"


def report_file(session: Session) -> bytes:
    """Return the report as `moodspace report` writes it: one HTML page that loads nothing."""
    return report_page(session).encode()


def table_file(session: Session) -> bytes:
    """Return a CSV table with one row per second, as `moodspace session-export` writes it.

    The file is written in the recording's own folder, which is deleted with the recording.

    Raises:
        OSError: The file cannot be written, for example because the recording was discarded.
    """
    path, *_ = export_session(session, session.folder / _TABLE)
    return path.read_bytes()


def document_file(session: Session) -> bytes:
    """Return the recording as JSON that `moodspace report` reads; counts and shares that were withheld are null."""
    group = session.group
    columns = (group.second, group.wall, group.frames, group.faces, group.readable, group.unsure, group.proba)
    seconds = [
        {
            "second": int(second), "time": _time(wall), "frames": int(frames),
            "faces": _count(faces), "readable": _count(readable), "unsure": _count(unsure),
            "shares": None if readable == WITHHELD else _shares(shares, session.classes),
        }
        for second, wall, frames, faces, readable, unsure, shares in zip(*columns, strict=True)
    ]  # fmt: skip
    document: dict[str, Any] = {
        "format": FORMAT,
        "version": VERSION,
        "source": session.source,
        "began": _time(session.started),
        "ended": None if session.ended is None else _time(session.ended),
        "utc_offset": session.utc_offset,
        "duration": round(session.duration, 3),
        "smallest_group": session.min_group,
        "classes": list(session.classes),
        "since": session.since.tolist(),
        "seconds": seconds,
        "changes": [_change(one, session.classes) for one in changes(session.group)],
        "marks": [mark._asdict() for mark in session.marks],
        "gaps": [gap._asdict() for gap in session.gaps],
        "missing": list(session.missing),
    }
    return json.dumps(document, allow_nan=False, indent=1).encode() + b"\n"


def _change(change: Change, classes: tuple[str, ...]) -> dict[str, Any]:
    before, after = _shares(change.before, classes), _shares(change.after, classes)
    return {"second": change.second, "size": round(change.size, _DIGITS), "before": before, "after": after}


def _shares(values: FloatArray, classes: tuple[str, ...]) -> dict[str, float]:
    return {name: round(float(value), _DIGITS) for name, value in zip(classes, values, strict=True)}


def _count(count: int) -> int | None:
    return None if count == WITHHELD else int(count)


def _time(seconds: float) -> str:
    return datetime.fromtimestamp(float(seconds), UTC).isoformat(timespec="milliseconds")
