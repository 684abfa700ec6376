"""Marked events: their names, and how to read them from a table of times."""

import csv
import math
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import NamedTuple

from moodspace.sessions import Mark, Session

LONGEST_MARK = 80

# The source of marks that `read_marks` returns.
FILE = "file"

_COLUMNS = ("time", "name")
_DELIMITERS = (";", "\t", ",")
# A table of times; more is another file.
_MAX_BYTES = 10 * 2**20


def mark_name(name: object) -> str:
    """Return a name with single spaces between its words.

    Raises:
        ValueError: It is not text, empty, too long, or has characters that cannot be shown.
    """
    if not isinstance(name, str):
        raise ValueError(f"name: expected text, got {type(name).__name__}")
    words = " ".join(name.split())
    if not words:
        raise ValueError("name: expected a name, got an empty one")
    if len(words) > LONGEST_MARK:
        raise ValueError(f"name: expected at most {LONGEST_MARK} characters, got {len(words)}")
    if not words.isprintable():
        raise ValueError(f"name: expected characters that can be shown, got {words!r}")
    return words


def read_marks(path: Path, session: Session) -> tuple[Mark, ...]:
    """Read the events of a session from a table with the columns `time` and `name`.

    The table is CSV: UTF-8 with or without a byte order mark; commas, semicolons or tabs between the columns; a point
    or, where no comma stands between columns, a comma in decimal numbers. Other columns are ignored.

    Args:
        path: The file.
        session: The session. A time is either in seconds since the session began, or an ISO 8601 date and time;
            without a zone, it is the session's local time.

    Returns:
        The marks, ordered by time.

    Raises:
        ValueError: The file is not such a table, or a time lies outside of the session; says in which line.
        OSError: The file cannot be read.
    """
    rows = _rows(path)
    try:
        place = _columns(rows[0].cells if rows else [])
        marks = [_mark(row, place, session) for row in rows[1:]]
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return _in_order(marks)


def with_marks(session: Session, path: Path) -> Session:
    """Return the session with the events of a table added to its marks; see `read_marks`."""
    return replace(session, marks=_in_order([*session.marks, *read_marks(path, session)]))


def _in_order(marks: Iterable[Mark]) -> tuple[Mark, ...]:
    return tuple(sorted(marks, key=lambda mark: mark.time))


class _Row(NamedTuple):
    """A row of a table, with its line number from 1."""

    line: int
    cells: list[str]


def _rows(path: Path) -> list[_Row]:
    """Return the rows that are not empty."""
    with path.open("rb") as file:
        content = file.read(_MAX_BYTES + 1)
    if len(content) > _MAX_BYTES:
        raise ValueError(f"{path}: expected a table of times, got more than {_MAX_BYTES // 2**20} MB")
    try:
        text = content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        raise ValueError(f"{path}: expected text in UTF-8, got other bytes; save it as CSV UTF-8") from error
    lines = text.splitlines()
    head = next((line for line in lines if line.strip()), "")
    delimiter = next((one for one in _DELIMITERS if one in head), ",")
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True)
    try:
        return [_Row(reader.line_num, [cell.strip() for cell in row]) for row in reader if any(map(str.strip, row))]
    except csv.Error as error:
        raise ValueError(f"{path}: expected a table of times, got a damaged one ({error})") from error


def _columns(head: list[str]) -> tuple[int, int]:
    names = [cell.lower() for cell in head]
    for name in _COLUMNS:
        if names.count(name) != 1:
            got = ", ".join(map(repr, head[:6])) or "an empty file"
            raise ValueError(f"expected one column 'time' and one column 'name' in the first line, got {got}")
    return names.index("time"), names.index("name")


def _mark(row: _Row, place: tuple[int, int], session: Session) -> Mark:
    try:
        if len(row.cells) <= max(place):
            raise ValueError(f"expected a time and a name, got {len(row.cells)} column{'s' * (len(row.cells) != 1)}")
        if _is_split_number(row.cells, place):
            raise ValueError("expected decimal points in a table with commas between its columns, got decimal commas")
        time = _time(row.cells[place[0]], session)
        if not -1 <= time <= session.length + 1:
            got = f"{row.cells[place[0]]} ({time:.3f} s)"
            raise ValueError(f"expected a time within the session of {session.length} s, got {got}")
        return Mark(round(max(time, 0.0), 4), mark_name(row.cells[place[1]]), FILE)
    except ValueError as error:
        raise ValueError(f"line {row.line}: {error}") from error


def _is_split_number(cells: list[str], place: tuple[int, int]) -> bool:
    """Return whether a decimal comma seems to have divided the time: `1,5,go` below a head of two columns."""
    time, name = place
    return time + 1 == name < len(cells) - 1 and cells[time].isdigit() and cells[name].isdigit()


def _time(text: str, session: Session) -> float:
    """Return the session time of a cell, in seconds."""
    try:
        seconds = float(text.replace(",", ".") if text.count(",") == 1 else text)
    except ValueError:
        return session.time_of(_wall(text, session))
    if not math.isfinite(seconds):
        raise ValueError(f"time: expected a finite number, got {text!r}")
    return seconds


def _wall(text: str, session: Session) -> float:
    try:
        moment = datetime.fromisoformat(text.replace(",", "."))
    except ValueError as error:
        expected = "seconds, or a date and time as in 2026-05-31T09:30:00"
        raise ValueError(f"time: expected {expected}, got {text!r}") from error
    if "T" not in text.upper() and " " not in text.strip():
        raise ValueError(f"time: expected a date with a time of day, got {text!r}")
    if moment.tzinfo is None:
        moment = moment.replace(tzinfo=timezone(timedelta(seconds=session.utc_offset)))
    return moment.timestamp()
