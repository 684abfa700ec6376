"""A recording as files to take along: the report, a table, and a document for programs."""

import json
from datetime import UTC, datetime
from typing import Any

from index.gallery import FloatArray
from realtime.session_export import export_session
from realtime.session_reading import WITHHELD, Session
from viz.report_changes import Change, changes
from viz.report_data import Report
from viz.report_page import report_page

_DIGITS = 4
_TABLE = "session.csv"


def report_file(session: Session) -> bytes:
    """Return the report, as `cli.py report` makes it: one HTML page that loads nothing."""
    return report_page(Report.of(session)).encode()


def table_file(session: Session) -> bytes:
    """Return one row a second, as `cli.py session-export` writes it.

    It is made in the recording's own folder, which goes with it.

    Raises:
        OSError: it cannot be written, as when the recording was discarded meanwhile.
    """
    (path,) = export_session(session, session.folder / _TABLE)
    return path.read_bytes()


def document_file(session: Session) -> bytes:
    """Return all of it as JSON; counts and shares that were not kept are null."""
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
        "source": session.source,
        "began": _time(session.started),
        "ended": None if session.ended is None else _time(session.ended),
        "duration": round(session.duration, 3),
        "smallest_group": session.min_group,
        "classes": list(session.classes),
        "seconds": seconds,
        "changes": [_change(one, session.classes) for one in changes(Report.of(session).group)],
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
