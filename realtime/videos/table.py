"""Write the table of all faces, the summary of the videos, and the manifest: CSV, or Parquet with pyarrow."""

import contextlib
import csv
import importlib.util
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol

from moodspace.errors import install_command
from moodspace.realtime.videos.reading import Columns, Summary, VideosError, column_names

# Rows of a Parquet row group.
_GROUP = 65_536

_WHOLE = {"frame", "face", "frames", "frames_with_faces", "faces", "most_faces", "rows", "changes"}
_WHOLE |= {"frame_width", "frame_height"}
_TEXTS = {"video", "expression", "reason", "problem", "sha256"}


def summary_path(out: Path) -> Path:
    """Return the path of the summary of a table: `table-videos.csv` for `table.csv`."""
    return out.with_name(f"{out.stem}-videos{out.suffix}")


def manifest_path(out: Path) -> Path:
    """Return the path of the manifest of a table: `table-manifest.json` for `table.csv`."""
    return out.with_name(f"{out.stem}-manifest.json")


def require_table(out: Path) -> None:
    """Check, before long work, that a table of this name can be written.

    Raises:
        VideosError: The name has another ending, or pyarrow is missing for Parquet.
    """
    if out.suffix.lower() not in (".csv", ".parquet"):
        raise VideosError(f"{out}: expected a name that ends in .csv or .parquet, got {out.suffix or 'neither'!r}")
    # It is imported when it is needed, at the end: while videos are read, its memory is better free.
    if out.suffix.lower() == ".parquet" and importlib.util.find_spec("pyarrow") is None:
        raise VideosError(f"{out}: expected pyarrow for Parquet, got none; {install_command('map')}, or write a .csv")


def write_table(out: Path, chunks: Iterable[Columns], classes: tuple[str, ...]) -> None:
    """Write the table of all faces in one step; an existing file is replaced.

    Args:
        out: The file, `.csv` or `.parquet`.
        chunks: The rows, some at a time.
        classes: The names of the classes.

    Raises:
        OSError: The file cannot be written.
    """
    _write(out, chunks, column_names(classes))


def write_summary(out: Path, summaries: Sequence[Summary], classes: tuple[str, ...]) -> None:
    """Write the summary in one step, one row a video; an existing file is replaced.

    Args:
        out: The file, `.csv` or `.parquet`.
        summaries: What the videos showed. All values of one without `sha256`, which could not be read, are empty.
        classes: The names of the classes.

    Raises:
        OSError: The file cannot be written.
    """
    rows = [summary_row(summary, classes) for summary in summaries]
    names = list(summary_row(Summary(""), classes))
    _write(out, [{name: [row[name] for row in rows] for name in names}], names)


def summary_row(summary: Summary, classes: tuple[str, ...]) -> dict[str, Any]:
    """Return one row of the summary, by column."""
    row = {
        "video": summary.video,
        "seconds": summary.seconds,
        "fps": summary.fps,
        "frame_width": summary.width,
        "frame_height": summary.height,
        "frames": summary.frames,
        "frames_with_faces": summary.frames_with_faces,
        "faces": summary.faces,
        "most_faces": summary.most_faces,
        "rows": summary.rows,
        **{f"share_{name}": summary.shares.get(name, 0.0) for name in classes},
        "share_unknown": summary.unknown,
        "share_unreadable": summary.unreadable,
        "changes": summary.changes,
    }
    if not summary.sha256:
        row = {name: value if name == "video" else None for name, value in row.items()}
    elif not summary.rows:
        row |= {name: None for name in row if name.startswith("share_")}
    return row | {"problem": summary.problem or None, "sha256": summary.sha256 or None}


def write_manifest(out: Path, manifest: dict[str, Any]) -> None:
    """Write the manifest in one step; an existing file is replaced.

    Raises:
        OSError: The file cannot be written.
    """
    with _replacing(out) as partial:
        partial.write_text(json.dumps(manifest, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


@contextlib.contextmanager
def replacing_together(*outs: Path) -> Iterator[tuple[Path, ...]]:
    """Yield paths of the same endings, whose files replace `outs` at the end; after an error, remove them.

    At no moment do files of the old and the new state stand side by side: a kill while they are replaced leaves the
    first ones only, and the next run of the command writes all of them again.

    Args:
        outs: The files in the order in which they appear; existing ones are removed in reverse order.

    Raises:
        OSError: A file cannot be written; the old ones are all there.
    """
    asides = tuple(out.with_name(f".{out.stem}.new{out.suffix}") for out in outs)
    names = {str(aside): str(out) for aside, out in zip(asides, outs, strict=True)}
    try:
        yield asides
        for out in reversed(outs[1:]):
            out.unlink(missing_ok=True)
        for aside, out in zip(asides, outs, strict=True):
            os.replace(aside, out)
    except OSError as error:
        if error.errno and error.filename is not None and str(error.filename) in names:
            raise OSError(error.errno, os.strerror(error.errno), names[str(error.filename)]) from error
        raise
    finally:
        for aside in asides:
            with contextlib.suppress(OSError):
                aside.unlink()


class _Writer(Protocol):
    def add(self, columns: Columns) -> None: ...


def _write(out: Path, chunks: Iterable[Columns], names: Sequence[str]) -> None:
    opened = _csv_writer if out.suffix.lower() == ".csv" else _parquet_writer
    with _replacing(out) as partial, opened(partial, names) as writer:
        for columns in chunks:
            writer.add(columns)


@contextlib.contextmanager
def _replacing(out: Path) -> Iterator[Path]:
    """Yield the path of a temporary file that replaces `out` at the end; after an error, remove it."""
    partial = out.with_name(f".{out.name}.partial")
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(partial, out)
    except OSError as error:
        # pyarrow's own words are longer and name no file.
        raise OSError(error.errno, os.strerror(error.errno), str(out)) if error.errno else error from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()


@contextlib.contextmanager
def _csv_writer(path: Path, names: Sequence[str]) -> Iterator[_Writer]:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(names)
        yield _Csv(writer)


class _Csv:
    def __init__(self, writer: Any) -> None:
        self._writer = writer

    def add(self, columns: Columns) -> None:
        self._writer.writerows(zip(*columns.values(), strict=True))


@contextlib.contextmanager
def _parquet_writer(path: Path, names: Sequence[str]) -> Iterator[_Writer]:
    import pyarrow as pa
    from pyarrow import parquet

    # Explicit, because the type of a column without values cannot be inferred.
    schema = pa.schema([(name, _arrow_type(name)) for name in names])
    with path.open("wb") as file, parquet.ParquetWriter(file, schema) as writer:
        table = _Parquet(writer, schema)
        yield table
        table.flush()


class _Parquet:
    """Collects rows to groups, so that many short videos do not make many small groups."""

    def __init__(self, writer: Any, schema: Any) -> None:
        self._writer, self._schema = writer, schema
        self._waiting: list[Any] = []
        self._rows = 0

    def add(self, columns: Columns) -> None:
        import pyarrow as pa

        arrays = [pa.array(columns[field.name], field.type) for field in self._schema]
        self._waiting.append(pa.table(arrays, schema=self._schema))
        self._rows += len(self._waiting[-1])
        if self._rows >= _GROUP:
            self.flush()

    def flush(self) -> None:
        import pyarrow as pa

        if self._waiting:
            self._writer.write_table(pa.concat_tables(self._waiting), row_group_size=_GROUP)
        self._waiting, self._rows = [], 0


def _arrow_type(name: str) -> Any:
    import pyarrow as pa

    if name in _TEXTS:
        return pa.string()
    if name == "readable":
        return pa.bool_()
    if name in ("time", "seconds", "fps"):
        return pa.float64()
    return pa.int64() if name in _WHOLE else pa.float32()
