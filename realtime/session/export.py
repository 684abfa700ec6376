"""Export a recorded session as tables: CSV, or Parquet if pyarrow is installed."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.arrays import FloatArray, IntArray
from moodspace.realtime.session.file import SessionError
from moodspace.sessions import WITHHELD, FaceSeconds, Session

Table = dict[str, list[Any]]


def export_session(session: Session, out: Path) -> list[Path]:
    """Write the group's table with one row a second and, if single faces were recorded, a second table of them.

    The group's columns are `second`, `time` (UTC), `frames`, `faces`, `readable`, `unsure`, `withheld` (why counts and
    shares are empty), and `share_NAME` for each class. The faces' columns, in a file that ends in `-faces`, are
    `second`, `face`, `shown`, `readable`, `size_px`, `sharpness`, `yaw_degrees` and `probability_NAME`. If faces had a
    baseline, both tables also have `change_NAME`, the change from what the faces are read as at rest.

    Args:
        session: The session.
        out: The group's file, `.csv` or `.parquet`; an existing file is replaced.

    Returns:
        The files written.

    Raises:
        SessionError: The name has another ending, or pyarrow is missing for Parquet.
        OSError: A file cannot be written.
    """
    tables = {out: _group_table(session)}
    if session.individuals:
        tables[out.with_name(f"{out.stem}-faces{out.suffix}")] = _face_table(session.faces, session.classes)
    match out.suffix.lower():
        case ".csv":
            write = _write_csv
        case ".parquet":
            write = _write_parquet
        case other:
            raise SessionError(f"{out}: expected a name that ends in .csv or .parquet, got {other or 'neither'!r}")
    for path, table in tables.items():
        write(table, path)
    return list(tables)


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


def _write_csv(table: Table, path: Path) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(table)
        writer.writerows([_in_csv(value) for value in row] for row in zip(*table.values(), strict=True))


def _in_csv(value: Any) -> Any:
    if isinstance(value, datetime):
        return value.isoformat(timespec="milliseconds")
    return round(value, 4) if isinstance(value, float) else value


def _write_parquet(table: Table, path: Path) -> None:
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise SessionError(f"{path}: expected pyarrow for Parquet, got none; install it or write a .csv") from error
    # Explicit, because the type of a column without values cannot be inferred.
    kinds = {"second": pa.int64(), "face": pa.int64(), "frames": pa.int64(), "faces": pa.int64()}
    kinds |= {"readable": None, "unsure": pa.int64(), "time": pa.timestamp("us", tz="UTC")}
    kinds |= {"withheld": pa.string(), "shown": pa.string()}
    kinds["readable"] = pa.bool_() if "face" in table else pa.int64()
    parquet.write_table(pa.table({name: pa.array(v, kinds.get(name, pa.float32())) for name, v in table.items()}), path)
