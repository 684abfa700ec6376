"""A recorded session as tables for other programs: CSV, or parquet where pyarrow is installed."""

import csv
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.arrays import IntArray
from moodspace.realtime.session.file import SessionError
from moodspace.realtime.session.reading import WITHHELD, FaceSeconds, Session

Table = dict[str, list[Any]]


def export_session(session: Session, out: Path) -> list[Path]:
    """Writes what a session holds, a row a second, and beside it what single faces showed, where that was kept.

    The columns of the group's table are `second`, `time` (UTC), `frames`, `faces`, `readable`, `unsure`, `withheld`
    (why the counts and shares are empty), and `share_NAME` for each class. Those of the faces' table, `NAME-faces`,
    are `second`, `face`, `shown`, `readable`, `size_px`, `sharpness`, `yaw_degrees` and `probability_NAME`.

    Args:
        session: What was recorded.
        out: The group's file, `.csv` or `.parquet`; a file there is replaced.

    Returns:
        The files written.

    Raises:
        SessionError: a name that ends otherwise, or parquet without pyarrow.
        OSError: a file cannot be written.
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
            raise SessionError(f"{out}: expected a name that ends in .csv or .parquet, received {other or 'neither'!r}")
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
        shares = group.proba[:, column]
        table[f"share_{name}"] = [None if np.isnan(share) else float(share) for share in shares]
    return table


def _reasons(session: Session) -> list[str]:
    """Says why a row has no shares; empty where it has."""
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
    return table


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
        raise SessionError(f"{path}: expected pyarrow for parquet, it is not installed; write a .csv") from error
    # Named, because a column without a value, or without a row, does not tell its type.
    kinds = {"second": pa.int64(), "face": pa.int64(), "frames": pa.int64(), "faces": pa.int64()}
    kinds |= {"readable": None, "unsure": pa.int64(), "time": pa.timestamp("us", tz="UTC")}
    kinds |= {"withheld": pa.string(), "shown": pa.string()}
    kinds["readable"] = pa.bool_() if "face" in table else pa.int64()
    parquet.write_table(pa.table({name: pa.array(v, kinds.get(name, pa.float32())) for name, v in table.items()}), path)
