"""Read a session from the JSON document that the web app's Session page and the static site give to take along."""

import json
import math
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.realtime.session.file import SessionError
from moodspace.realtime.session.marks import mark_name
from moodspace.sessions import WITHHELD, FaceSeconds, Gap, GroupSeconds, Mark, Session

SUFFIX = ".json"
FORMAT, VERSION = "moodspace-session", 1
# More than any recording of either app takes.
_MAX_BYTES = 64 * 2**20


def read_document(path: Path) -> Session:
    """Read a session; documents hold the group only, never single faces.

    Args:
        path: The file.

    Raises:
        SessionError: The file cannot be read, or is something else or of another version.
    """
    try:
        if path.stat().st_size > _MAX_BYTES:
            raise SessionError(f"{path}: expected at most {_MAX_BYTES // 2**20} MB, got a larger file; record less")
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        reason = error.strerror or error
        raise SessionError(f"{path}: expected a recorded session, got none ({reason}); name its file") from error
    except (ValueError, RecursionError) as error:
        raise SessionError(f"{path}: expected a session as JSON, got another file; save it again") from error
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise SessionError(f"{path}: expected a session as JSON, got another document; name a session")
    if document.get("version") != VERSION:
        raise SessionError(f"{path}: expected version {VERSION}, got {document.get('version')}; update this program")
    try:
        return _session(document, path.parent)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise SessionError(
            f"{path}: expected a session as saved, got a changed one ({reason}); save it again"
        ) from error


def _session(document: dict[str, Any], folder: Path) -> Session:
    classes = tuple(str(name) for name in document["classes"])
    if not classes or len(set(classes)) != len(classes):
        raise ValueError(f"expected classes, none twice, got {list(classes)}")
    seconds = document["seconds"]
    group = GroupSeconds(
        second=np.array([int(row["second"]) for row in seconds], np.int64),
        wall=np.array([_unix(row["time"]) for row in seconds], np.float64),
        frames=_counts(row["frames"] for row in seconds),
        faces=_counts(row["faces"] for row in seconds),
        readable=_counts(row["readable"] for row in seconds),
        unsure=_counts(row["unsure"] for row in seconds),
        proba=_shares(seconds, classes),
    )
    if (np.diff(group.second) <= 0).any() or (len(seconds) and group.second[0] < 0):
        raise ValueError("expected ascending seconds from 0, got others")
    if (group.recorded == np.isnan(group.proba).any(axis=1)).any():
        raise ValueError("expected shares exactly where faces were readable, got others")
    ended = document["ended"]
    duration = float(document["duration"])
    if not math.isfinite(duration) or duration < 0:
        raise ValueError(f"expected a duration of 0 or more, got {duration}")
    none = np.empty(0, np.float32)
    return Session(
        folder=folder,
        source=str(document["source"]),
        started=_unix(document["began"]),
        utc_offset=int(document["utc_offset"]),
        ended=None if ended is None else _unix(ended),
        duration=duration,
        min_group=max(1, int(document["smallest_group"])),
        individuals=False,
        classes=classes,
        since=np.array([int(since) for since in document["since"]], np.int64),
        group=group,
        faces=FaceSeconds(
            _counts(()), _counts(()), _counts(()), np.empty(0, bool), none, none, none,
            np.empty((0, len(classes)), np.float32),
        ),
        gaps=tuple(Gap(float(gap["start"]), float(gap["stop"]), str(gap["reason"])) for gap in document["gaps"]),
        missing=tuple(str(sentence) for sentence in document["missing"]),
        keeps_video=False,
        marks=_marks(document.get("marks", [])),
        clock=np.column_stack([group.second, group.wall]).astype(np.float64),
    )  # fmt: skip


def _marks(marks: Any) -> tuple[Mark, ...]:
    """Return the marks, ordered by time; documents of earlier programs have none."""
    read = [Mark(float(mark["time"]), mark_name(mark["name"]), str(mark["source"])) for mark in marks]
    if not all(math.isfinite(mark.time) and mark.time >= 0 for mark in read):
        raise ValueError("expected the times of marks from 0, got others")
    return tuple(sorted(read, key=lambda mark: mark.time))


def _unix(time: str) -> float:
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError(f"expected a time with its offset from UTC, got {time!r}")
    return moment.timestamp()


def _counts(values: Any) -> IntArray:
    counts = np.array([WITHHELD if value is None else int(value) for value in values], np.int64)
    if (counts < WITHHELD).any():
        raise ValueError("expected counts of 0 or more, got others")
    return counts


def _shares(seconds: list[dict[str, Any]], classes: tuple[str, ...]) -> FloatArray:
    """Return `(n, C)` float32, rows that sum to 1; a class that was not yet known gets 0, a withheld row NaN."""
    shares = np.full((len(seconds), len(classes)), np.nan, np.float32)
    for at, row in enumerate(seconds):
        if row["shares"] is not None:
            values = np.array([float(row["shares"].get(name, 0.0)) for name in classes])
            total = values.sum()
            if not (np.isfinite(values).all() and (values >= 0).all() and abs(total - 1) < 0.02):
                raise ValueError("expected shares that sum to 1, got others")
            shares[at] = values / total
    return shares
