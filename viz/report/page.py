"""The report of a recorded session as one self-contained page."""

import json
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.classifier.palette import class_shades
from moodspace.embeddings.files.names import write_whole
from moodspace.sessions import Session
from moodspace.viz.report.beside import Beside
from moodspace.viz.report.changes import changes
from moodspace.viz.report.data import TimeBins, bin_session
from moodspace.viz.report.figures import clock
from moodspace.viz.report.sections import (
    NOTICE,
    by_minute,
    certainty,
    change_from_baseline,
    events,
    key_figures,
    moments,
    most_faces,
    not_recorded,
    reasons,
    shown_order,
    single_faces,
    timeline,
)
from moodspace.viz.theme import page, text

_FOLDER = Path(__file__).parent

# Possible widths of a bin in seconds, and the maximum number of bins in a drawing.
_WIDTHS, _MAX_BINS = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 1800, 3600, 14400, 86400), 600


# Bins of the data that one scrubs: each second of up to four hours.
_MAX_SCRUBBED = 4 * 3600


def write_report(session: Session, path: Path, beside: Beside | None = None) -> None:
    """Write the report of a session as one HTML file that loads nothing, except a large recording beside it.

    Args:
        session: The session; it may be empty.
        path: The file to write; its folder exists.
        beside: A recording that plays in step.

    Raises:
        OSError: The file cannot be written.
    """
    document = report_page(session, beside)
    write_whole(path, lambda file: file.write_text(document, encoding="utf-8"))


def report_page(session: Session, beside: Beside | None = None) -> str:
    """Return the report of a session as an HTML document; see `write_report`."""
    bins, found = drawing_bins(session), changes(session.group)
    body = [
        f'<header><h1>Expressions shown</h1><p class="faint">{_when(session)}</p></header>',
        f'<p class="card notice">{NOTICE}</p>',
        key_figures(session, found),
        timeline(session, bins, found, tools=True, beside=beside.player() if beside else ""),
        events(session),
        moments(session, found),
        by_minute(session),
        change_from_baseline(session),
        certainty(session, bins),
        single_faces(session, bins),
        not_recorded(session),
        _settings(session),
    ]
    payload = _payload(session, bins) | ({"pieces": beside.pieces} if beside else {})
    data = json.dumps(payload, separators=(",", ":")).replace("<", "\\u003c")
    body.append(f'<script type="application/json" id="data">{data}</script>')
    if beside is not None:
        body.append(beside.embedded())
    return page(
        f"Expressions shown: {session.source}",
        f'<main class="sheet">{"".join(body)}</main>',
        style=(_FOLDER / "report.css").read_text(encoding="utf-8"),
        script="".join((_FOLDER / name).read_text(encoding="utf-8") for name in ("scrub.js", "report.js")),
        media=beside is not None,
    )


def drawing_bins(session: Session) -> TimeBins:
    """Average a session over bins that are about as narrow as a pixel."""
    width = next((w for w in _WIDTHS if session.length / w <= _MAX_BINS), _WIDTHS[-1])
    return bin_session(session, width)


def _when(session: Session) -> str:
    zone = timezone(timedelta(seconds=session.utc_offset))
    start = datetime.fromtimestamp(session.started, zone)
    words = f"{text(session.source)} · {start:%A, %d %B %Y}, {start:%H:%M:%S}"
    if session.ended is not None:
        words += f" to {datetime.fromtimestamp(session.ended, zone):%H:%M:%S}"
    return f"{words} ({start.tzname()})"


def _settings(session: Session) -> str:
    since = zip(session.classes, session.since.tolist(), strict=True)
    learned = ", ".join(f"{text(name)} (since {clock(second)})" if second else text(name) for name, second in since)
    began = datetime.fromtimestamp(session.started, UTC).isoformat(timespec="seconds")
    rows = {
        "Source": text(session.source),
        "Started": began,
        "Expressions": learned,
        "Minimum group size": str(session.min_group),
        "Single faces": "recorded" if session.individuals else "not recorded",
        "Video": "kept" if session.keeps_video else "not kept",
    }
    table = "".join(f"<tr><th>{name}</th><td>{value}</td></tr>" for name, value in rows.items())
    return f'<section id=settings><h2>Settings</h2><table class="narrow">{table}</table></section>'


def _payload(session: Session, drawn: TimeBins) -> dict[str, Any]:
    """Return the data of `scrub.js` as JSON values: shares in thousandths, counts in tenths."""
    bins = bin_session(session, next((w for w in _WIDTHS if session.length / w <= _MAX_SCRUBBED), _WIDTHS[-1]))
    order, shades = shown_order(session), class_shades(session.classes)
    shares = np.rint(1000 * np.nan_to_num(bins.proba[:, order])).astype(int)
    counts = np.rint(10 * np.nan_to_num(np.column_stack([bins.faces, bins.readable, bins.unsure]))).astype(int)
    return {
        "width": bins.width,
        "span": len(drawn.kept) * drawn.width,
        "top": most_faces(session),
        "marks": [[mark.time, mark.name] for mark in session.marks],
        "names": [session.classes[at] for at in order],
        "shades": [shades[at] for at in order],
        "reasons": {int(kept): reason for kept, reason in reasons(session).items()},
        "kept": bins.kept.tolist(),
        "shares": shares.tolist(),
        "counts": counts.tolist(),
    }
