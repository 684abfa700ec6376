"""Export a recorded session and its epochs as tables: CSV, or Parquet if pyarrow is installed."""

import csv
import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.embeddings.files.names import write_whole
from moodspace.realtime.session.file import SessionError
from moodspace.sessions import EPOCH_COLUMNS, WITHHELD, Epochs, FaceSeconds, Mark, Session

Table = dict[str, list[Any]]

# The kinds of the columns; the others are shares, of 32 bits.
_GROUP_KINDS = dict.fromkeys(("second", "frames", "faces", "readable", "unsure"), "integer")
_GROUP_KINDS |= {"time": "moment", "withheld": "text"}
_FACE_KINDS = {"second": "integer", "face": "integer", "shown": "text", "readable": "yes or no"}
_MARK_KINDS = {"time": "number", "name": "text", "source": "text"}


def export_session(session: Session, out: Path) -> list[Path]:
    """Write the group's table with one row a second and, if there are any, tables of single faces and of marks.

    The group's columns are `second`, `time` (UTC), `frames`, `faces`, `readable`, `unsure`, `withheld` (why counts and
    shares are empty), and `share_NAME` for each class. The faces' columns, in a file that ends in `-faces`, are
    `second`, `face`, `shown`, `readable`, `size_px`, `sharpness`, `yaw_degrees` and `probability_NAME`. If faces had a
    baseline, both tables also have `change_NAME`, the change from what the faces are read as at rest.
    The marks' columns, in a file that ends in `-marks`, are `time` (seconds), `name` and `source`.

    Args:
        session: The session.
        out: The group's file, `.csv` or `.parquet`; an existing file is replaced.

    Returns:
        The files written.

    Raises:
        SessionError: The name has another ending, or pyarrow is missing for Parquet.
        OSError: A file cannot be written.
    """
    write = _writer(out)
    tables = {out: (_group_table(session), _GROUP_KINDS)}
    if session.individuals:
        faces = _face_table(session.faces, session.classes)
        tables[out.with_name(f"{out.stem}-faces{out.suffix}")] = faces, _FACE_KINDS
    if session.marks:
        tables[out.with_name(f"{out.stem}-marks{out.suffix}")] = _mark_table(session.marks), _MARK_KINDS
    for path, (table, kinds) in tables.items():
        write(table, path, kinds)
    return list(tables)


def export_epochs(session: Session, start: float, stop: float, out: Path) -> list[Path]:
    """Write the epochs around the marks of a session as a tidy table, and a codebook beside it.

    If single faces were recorded, a second table, in a file that ends in `-faces`, has a row for each of them. The
    codebook, `NAME.json`, describes every column.

    Args:
        session: The session, with its marks.
        start: Beginning of the window in seconds from each mark.
        stop: End of the window.
        out: The table, `.csv` or `.parquet`; existing files are replaced.

    Returns:
        The files written.

    Raises:
        SessionError: The name has another ending, or pyarrow is missing for Parquet.
        ValueError: The window is empty or ends before the marks, or the session has no marks.
        OSError: A file cannot be written.
    """
    write = _writer(out)
    if not session.marks:
        raise ValueError("epochs: expected a session with marks, got none; give them with --marks")
    tables = {out: session.epochs(start, stop)}
    if session.individuals:
        tables[out.with_name(f"{out.stem}-faces{out.suffix}")] = session.epochs(start, stop, individuals=True)
    kinds = {"face": "integer"} | {name: kind for name, (kind, _, _) in EPOCH_COLUMNS.items()}
    for path, epochs in tables.items():
        write(epochs.columns, path, kinds)
    codebook = out.with_suffix(".json")
    document = epochs_codebook(session, list(tables.values())[-1])
    text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
    write_whole(codebook, lambda file: file.write_text(text, encoding="utf-8"))
    return [*tables, codebook]


def epochs_codebook(session: Session, epochs: Epochs) -> dict[str, Any]:
    """Return the codebook of a table of epochs: the session, the window, and every column."""
    columns: dict[str, dict[str, Any]] = {
        name: {"type": kind, **({"unit": unit} if unit else {}), "description": meaning}
        for name, (kind, unit, meaning) in EPOCH_COLUMNS.items()
    }
    columns["expression"]["levels"] = list(session.classes)
    columns["missing"]["levels"] = ["", f"fewer than {session.min_group} readable faces", "no frames"]
    if "face" in epochs.columns:
        meaning = "Number of the face in the session, in the table of single faces only; it does not identify a person."
        columns = {"face": {"type": "integer", "description": meaning}} | columns
    start, stop = epochs.start, epochs.stop
    return {
        "title": "Expressions shown around marked events",
        "made_by": f"moodspace report --epochs {epochs.start:g}:{epochs.stop:g}",
        "session": {
            "source": session.source,
            "started": datetime.fromtimestamp(session.started, UTC).isoformat(timespec="seconds"),
            "duration_s": round(session.duration, 3),
            "min_group": session.min_group,
        },
        "events": len(session.marks),
        "window_s": {
            "start": start,
            "stop": stop,
            "response": [max(start, 0.0), stop],
            "baseline": [start, min(stop, 0.0)] if start < 0 else None,
        },
        "method": (
            "Shares are the mean probabilities of the group's readable faces, recorded once a second. A second belongs "
            "to the window in which its middle lies. Numbers are rounded to 6 digits. They tell which expression a "
            "network saw, not what anybody felt."
        ),
        "missing_values": "An empty cell in CSV, null in Parquet.",
        "columns": columns,
    }


def _writer(out: Path) -> Callable[[Table, Path, Mapping[str, str]], None]:
    """Return the function that writes a table with the given kinds of columns, by the ending of a name."""
    match out.suffix.lower():
        case ".csv":
            return _write_csv
        case ".parquet":
            return _write_parquet
        case other:
            raise SessionError(f"{out}: expected a name that ends in .csv or .parquet, got {other or 'neither'!r}")


def _mark_table(marks: tuple[Mark, ...]) -> Table:
    return {name: [getattr(mark, name) for mark in marks] for name in Mark._fields}


def _group_table(session: Session) -> Table:
    group = session.group
    table: Table = {
        "second": group.second.tolist(),
        "time": [datetime.fromtimestamp(wall, UTC) for wall in group.wall.tolist()],
        "frames": group.frames.tolist(),
        "faces": _or_none(group.faces),
        "readable": _or_none(group.readable),
        "unsure": _or_none(group.unsure),
        "withheld": _reasons(session),
    }
    for column, name in enumerate(session.classes):
        table[f"share_{name}"] = _numbers(group.proba[:, column])
    return table | _change_columns(group.change, session.classes)


def _change_columns(change: FloatArray, classes: tuple[str, ...]) -> Table:
    """Return the columns of the change from the baseline; none if there was no baseline."""
    if np.isnan(change).all():
        return {}
    return {f"change_{name}": _numbers(change[:, column]) for column, name in enumerate(classes)}


def _numbers(values: FloatArray) -> list[float | None]:
    return [None if np.isnan(value) else float(value) for value in values]


def _reasons(session: Session) -> list[str]:
    """Return for each row why it has no shares, or an empty string if it has."""
    fewer = f"fewer than {session.min_group} faces"
    return [
        "" if readable != WITHHELD else fewer if faces == WITHHELD else f"{fewer} that could be read"
        for faces, readable in zip(session.group.faces, session.group.readable, strict=True)
    ]


def _face_table(faces: FaceSeconds, classes: tuple[str, ...]) -> Table:
    table: Table = {
        "second": faces.second.tolist(),
        "face": faces.track_ids.tolist(),
        "shown": [classes[column] if column >= 0 else "unsure" for column in faces.shown],
        "readable": faces.readable.tolist(),
        "size_px": faces.size.tolist(),
        "sharpness": faces.sharpness.tolist(),
        "yaw_degrees": faces.yaw.tolist(),
    }
    for column, name in enumerate(classes):
        table[f"probability_{name}"] = faces.proba[:, column].tolist()
    return table | _change_columns(faces.change, classes)


def _or_none(counts: IntArray) -> list[int | None]:
    return [None if count == WITHHELD else count for count in counts.tolist()]


def _write_csv(table: Table, path: Path, _: Mapping[str, str]) -> None:
    def write(aside: Path) -> None:
        with aside.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(table)
            writer.writerows([_in_csv(value) for value in row] for row in zip(*table.values(), strict=True))

    write_whole(path, write)


def _in_csv(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return round(value, 6) if isinstance(value, float) else value


def _write_parquet(table: Table, path: Path, kinds: Mapping[str, str]) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise SessionError(f"{path}: expected pyarrow for Parquet, got none; install it or write a .csv") from error
    # Explicit, because the type of a column without values cannot be inferred.
    types = {"integer": pa.int64(), "number": pa.float64(), "text": pa.string(), "yes or no": pa.bool_()}
    types["moment"] = pa.timestamp("us", tz="UTC")
    columns = {
        name: pa.array(values, types[kinds[name]] if name in kinds else pa.float32()) for name, values in table.items()
    }
    write_whole(path, lambda file: parquet.write_table(pa.table(columns), file))
