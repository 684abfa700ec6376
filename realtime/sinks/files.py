"""Write documents to a file: JSON lines, or tables in Parquet."""

import itertools
import os
from collections.abc import Iterable, Sequence
from io import FileIO
from pathlib import Path
from typing import Any

from moodspace.embeddings.files.names import partial_path
from moodspace.realtime.sinks.destination import Destination, SinkError
from moodspace.realtime.sinks.outbox import Message, Sink

# Files get every document; only a disk that stands still makes so many wait.
_ROOM = 2000
# Rows of a part of a Parquet file: what a kill loses at most.
_PART_ROWS = 1000


class JSONLinesFile(Sink):
    """Write one document a line. A line is on its way to the disk before the next: a kill cuts the last one at most.

    Args:
        destination: The file, which must not exist yet.
    """

    room, final = _ROOM, True

    def __init__(self, destination: Destination) -> None:
        super().__init__(destination.text)
        self._path = Path(destination.path)
        self._file: FileIO | None = None
        self._size = 0

    def prepare(self) -> None:
        """Create the file, readable by its owner only.

        Raises:
            SinkError: It exists, or cannot be written.
        """
        try:
            created = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o600)
        except FileExistsError as error:
            raise _taken(self._path) from error
        except OSError as error:
            raise SinkError(f"{self._path}: expected to write there, could not ({error.strerror})") from error
        self._file = FileIO(created, "wb")

    def connect(self) -> None:
        """Do nothing: the file is open; see `Sink.connect`."""

    def send(self, message: Message) -> None:
        """Write a line; see `Sink.send`. On failure the lines before it stay whole."""
        if self._file is None:
            raise OSError("it is closed")
        line = f"{message.text}\n".encode()
        try:
            written = 0
            while written < len(line):
                # A full disk takes a part, and refuses the rest.
                written += self._file.write(line[written:])
        except OSError:
            self._file.truncate(self._size)
            raise
        self._size += len(line)

    def discard(self) -> None:
        """Remove the file; see `Sink.discard`."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Close the file; see `Sink.close`."""
        file, self._file = self._file, None
        if file is not None:
            file.close()


class ParquetFile(Sink):
    """Write a table with a row for each frame and mark and, for single faces, a second one in `NAME-faces.parquet`.

    While the session runs, the rows are in `NAME.parquet.parts`, a folder of whole files that pandas reads too.

    Args:
        destination: The file; neither it nor the faces' may exist yet.
        classes: The classes at the start.
        individuals: Whether to write single faces.
    """

    room, final = _ROOM, True

    def __init__(self, destination: Destination, classes: Sequence[str], *, individuals: bool) -> None:
        super().__init__(destination.text)
        self._classes = classes
        path = Path(destination.path)
        self._paths = {"rows": path}
        if individuals:
            self._paths["faces"] = path.with_name(f"{path.stem}-faces{path.suffix}")
        self._tables: dict[str, _Table] = {}

    def prepare(self) -> None:
        """Create the files.

        Raises:
            SinkError: A file exists, or cannot be written.
            ImportError: pyarrow is missing.
        """
        types = {"rows": _row_types(self._classes), "faces": _face_types()}
        for name, path in self._paths.items():
            table = _Table(path, types[name])
            try:
                table.create()
            except SinkError:
                # Its outbox does not start: nobody else would remove the first one.
                for made in self._tables.values():
                    made.remove()
                raise
            self._tables[name] = table

    def connect(self) -> None:
        """Do nothing: the files are open; see `Sink.connect`."""

    def send(self, message: Message) -> None:
        """Add the rows of a document; see `Sink.send`."""
        self._tables["rows"].add(row_of(message.document))
        if "faces" in self._tables:
            for row in face_rows(message.document):
                self._tables["faces"].add(row)

    def discard(self) -> None:
        """Remove the files; see `Sink.discard`."""
        for name in self._tables:
            self._paths[name].unlink(missing_ok=True)

    def close(self) -> None:
        """Finish the files; see `Sink.close`."""
        problems = []
        for table in self._tables.values():
            try:
                table.finish()
            except OSError as error:
                problems.append(error)
        if problems:
            raise problems[0]


Row = dict[str, Any]


def row_of(document: dict[str, Any]) -> Row:
    """Return the row of a frame or a mark: what its document says, one value a column."""
    group = document.get("group") or {}
    width, height = document.get("size") or (None, None)
    row = {name: document.get(name) for name in ("kind", "source", "frame", "time", "captured", "label", "by")}
    row |= {"width": width, "height": height}
    row |= {name: group.get(name) for name in ("min_group", "faces", "readable", "unsure", "withheld")}
    return row | {f"share_{name}": value for name, value in (group.get("shares") or {}).items()}


def face_rows(document: dict[str, Any]) -> list[Row]:
    """Return a row for each face of a frame, with the number and the times of the frame."""
    common = {name: document.get(name) for name in ("source", "frame", "time", "captured")}
    rows = []
    for face in document.get("faces") or ():
        left, top, width, height = face["xywh"]
        row = {**common, "face": face["id"], "left": left, "top": top, "width": width, "height": height}
        row |= {name: face[name] for name in ("detection", "expression", "unknown", "baseline")}
        row |= {f"smoothed_{name}": value for name, value in face["smoothed"].items()}
        row |= {f"probability_{name}": value for name, value in face["probabilities"].items()}
        rows.append(row | face["quality"])
    return rows


def _row_types(classes: Sequence[str]) -> dict[str, Any]:
    import pyarrow as pa

    text, count, number = pa.string(), pa.int64(), pa.float64()
    return {
        "kind": text, "source": text, "frame": count, "time": number, "captured": number, "label": text, "by": text,
        "width": count, "height": count, "min_group": count, "faces": count, "readable": count, "unsure": count,
        "withheld": text, **{f"share_{name}": number for name in classes},
    }  # fmt: skip


def _face_types() -> dict[str, Any]:
    import pyarrow as pa

    text, count, number, truth = pa.string(), pa.int64(), pa.float64(), pa.bool_()
    return {
        "source": text, "frame": count, "time": number, "captured": number, "face": count, "left": number,
        "top": number, "width": number, "height": number, "detection": number, "expression": text, "unknown": truth,
        "baseline": truth,
        "size": number, "sharpness": number, "yaw": number, "good": truth, "reason": text,
    }  # fmt: skip


class _Table:
    """A Parquet file whose rows are written part by part, whole files in a folder beside it, and joined at the end.

    So a kill or a full disk loses the rows of one part at most, and a class that is taught meanwhile is a new column.

    Args:
        path: The file.
        types: The type of each column that is always there, by name; all others are float64.
    """

    def __init__(self, path: Path, types: dict[str, Any]) -> None:
        self._path, self._types = path, types
        self._folder = path.with_name(f"{path.name}.parts")
        self._parts: list[Path] = []
        self._rows: list[Row] = []

    def create(self) -> None:
        """Make the folder of the parts.

        Raises:
            SinkError: The file or an earlier folder exists, or nothing can be written there.
        """
        if self._path.exists():
            raise _taken(self._path)
        try:
            self._folder.mkdir(mode=0o700)
        except FileExistsError as error:
            raise _taken(self._folder) from error
        except OSError as error:
            raise SinkError(f"{self._folder}: expected to write there, could not ({error.strerror})") from error

    def remove(self) -> None:
        """Remove the folder, which must have no parts."""
        self._folder.rmdir()

    def add(self, row: Row) -> None:
        """Add a row; write the rows of a whole part.

        Raises:
            OSError: They cannot be written; the parts before are kept.
        """
        self._rows.append(row)
        if len(self._rows) >= _PART_ROWS:
            self._write()

    def finish(self) -> None:
        """Write the last rows and join the parts; keep the parts if that fails.

        Raises:
            OSError: They cannot be written.
        """
        self._write()
        self._join()
        for part in self._parts:
            part.unlink()
        self._folder.rmdir()

    def _write(self) -> None:
        rows, self._rows = self._rows, []
        if not rows:
            return
        part = self._folder / f"{len(self._parts):05d}{self._path.suffix}"
        write_table([_to_table(rows, self._types)], part)
        self._parts.append(part)

    def _join(self) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        schemas = [_to_table([], self._types).schema, *(parquet.read_schema(part) for part in self._parts)]
        schema = pa.unify_schemas(schemas)
        tables = (_with_columns(parquet.read_table(part, partitioning=None), schema) for part in self._parts)
        write_table(itertools.chain([schema.empty_table()], tables), self._path)


def _to_table(rows: list[Row], types: dict[str, Any]) -> Any:
    import pyarrow as pa

    names = list(dict.fromkeys([*types, *itertools.chain.from_iterable(rows)]))
    schema = pa.schema([(name, types.get(name, pa.float64())) for name in names])
    return pa.Table.from_pylist(rows, schema)


def _with_columns(table: Any, schema: Any) -> Any:
    """Return a table with the columns of the schema, in their order; new ones are empty."""
    import pyarrow as pa

    columns = [
        table[field.name] if field.name in table.column_names else pa.nulls(len(table), field.type) for field in schema
    ]
    return pa.table(columns, schema=schema)


def write_table(tables: Iterable[Any], path: Path) -> None:
    """Write tables with the same columns into one new file, which gets its name when it is whole.

    Raises:
        OSError: It cannot be written.
    """
    from pyarrow import parquet

    partial = partial_path(path)
    parts = iter(tables)
    first = next(parts)
    try:
        created = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o600)
        with open(created, "wb") as file, parquet.ParquetWriter(file, first.schema) as writer:
            for table in itertools.chain([first], parts):
                if len(table):
                    writer.write_table(table)
        partial.replace(path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _taken(path: Path) -> SinkError:
    return SinkError(f"{path}: expected a new file, got one that exists; name another")
