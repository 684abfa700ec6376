"""Read labelled faces from parquet files in the layout of Hugging Face's `datasets`. Needs pyarrow.

Columns: `image` (a struct of `bytes` and `path`, or only one of the two: bytes, or a path to a file), `label` (strings,
or integers whose names are a `ClassLabel` in the schema's metadata under "huggingface"), and optionally `votes` (ten
integers per row, in the order of `labels.VOTE_COLUMNS`) and `twin` (bool). The first two may also have other names that
data sets of the Hub use: `img`, `picture`; `labels`, `emotion`, `expression`.
"""

import contextlib
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from moodspace.embeddings.data.labelled import DataError, Face, LabelledFaces, Progress, Skipped, gather, reporting
from moodspace.embeddings.data.labels import VOTE_COLUMNS
from moodspace.embeddings.pictures import PictureError, read_crop
from moodspace.errors import install_command

_BATCH = 1024
_PARENTS = 2
_IMAGE_NAMES = ("image", "img", "picture", "images")
_LABEL_NAMES = ("label", "labels", "emotion", "expression", "emotions")


class _Columns(NamedTuple):
    """The columns of pictures and labels in a file, and the names of integer labels; no names for strings."""

    image: str
    label: str
    names: tuple[str, ...]


def read_parquet(files: Sequence[Path], *, progress: Progress | None = None) -> LabelledFaces:
    """Read the parquet files of one split as one data set.

    Args:
        files: The files, in order.
        progress: Called with the number of rows read and the total.

    Raises:
        DataError: pyarrow is not installed, a file is damaged or has other columns, or no picture can be read.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError(
            f"expected pyarrow to read parquet files, got no such package; {install_command('train')}"
        ) from error
    where = ", ".join(str(file) for file in files)
    try:
        with contextlib.ExitStack() as stack:
            tables = {file: stack.enter_context(pyarrow.parquet.ParquetFile(file)) for file in files}
            columns = {file: _find_columns(file, table.schema_arrow) for file, table in tables.items()}
            rows = (row for file, table in tables.items() for row in _rows(file, table, columns[file]))
            total = sum(table.metadata.num_rows for table in tables.values())
            names = itertools.chain.from_iterable(found.names for found in columns.values())
            return gather(reporting(rows, total, progress), names, where)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{where}: expected a parquet file, got a damaged one ({reason}); download it again") from error


def _find_columns(file: Path, schema: Any) -> _Columns:
    import pyarrow

    kinds = pyarrow.types
    image_name = next((name for name in _IMAGE_NAMES if name in schema.names), None)
    label_name = next((name for name in _LABEL_NAMES if name in schema.names), None)
    if image_name is None or label_name is None:
        raise DataError(f"{file}: expected the columns image and label, got {', '.join(schema.names)}")
    image, label = schema.field(image_name).type, schema.field(label_name).type
    parts = {field.name for field in image} if kinds.is_struct(image) else set()
    if not (parts & {"bytes", "path"} or _is_text(image) or kinds.is_binary(image) or kinds.is_large_binary(image)):
        raise DataError(
            f"{file}: expected column {image_name} to be a struct with bytes and path, bytes or paths, got {image}"
        )
    text = label.value_type if kinds.is_dictionary(label) else label
    if _is_text(text):
        return _Columns(image_name, label_name, ())
    if not (kinds.is_integer(label) or kinds.is_floating(label)):
        raise DataError(f"{file}: expected column {label_name} to hold integers or strings, got {label}")
    return _Columns(image_name, label_name, _class_names(file, schema, label_name))


def _is_text(kind: Any) -> bool:
    import pyarrow

    return bool(pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind))


def _class_names(file: Path, schema: Any, column: str) -> tuple[str, ...]:
    """Return the names of integer labels from a `ClassLabel`, which has them in a list or by number."""
    try:
        names = json.loads(schema.metadata[b"huggingface"])["info"]["features"][column]["names"]
        if isinstance(names, dict):
            names = [names[str(number)] for number in range(len(names))]
        if not names or isinstance(names, str):
            raise ValueError
        return tuple(str(name) for name in names)
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file}: expected the names of the integer labels (ClassLabel), got none; use strings"
        ) from error


def _rows(file: Path, table: Any, columns: _Columns) -> Iterator[Face | Skipped]:
    further = [name for name in ("votes", "twin") if name in table.schema_arrow.names]
    number = 0
    for batch in table.iter_batches(batch_size=_BATCH, columns=[columns.image, columns.label, *further]):
        for row in batch.to_pylist():
            yield _face(file, number, row, columns)
            number += 1


def _face(file: Path, number: int, row: dict[str, Any], columns: _Columns) -> Face | Skipped:
    picture, path = _picture(row[columns.image])
    source = path or f"{file.name}#{number}"
    label = _label(row[columns.label], columns.names)
    if label is None:
        return Skipped(source, f"expected a label, got {row[columns.label]}")
    try:
        if picture is not None:
            crop = read_crop(picture)
        elif path:
            crop = read_crop(_file_of(file, path))
        else:
            return Skipped(source, "expected the bytes of a picture, got none")
    except PictureError as error:
        return Skipped(source, str(error))
    except (OSError, ValueError) as error:
        return Skipped(source, f"expected the bytes of a picture or its file, got neither ({error})")
    return Face(source, label, crop, _votes(file, row) if "votes" in row else None, bool(row.get("twin")))


def _picture(image: Any) -> tuple[bytes | None, str]:
    """Return the bytes and the path of a picture, None and "" where the table has none."""
    if isinstance(image, dict):
        return image.get("bytes"), str(image.get("path") or "")
    return (image, "") if isinstance(image, bytes) else (None, image or "")


def _label(value: Any, names: tuple[str, ...]) -> str | None:
    """Return the class of a label, or None if the label is missing or out of range."""
    if not names:
        return value if isinstance(value, str) and value.strip() else None
    if value is None or not 0 <= value < len(names) or int(value) != value:
        return None
    return names[int(value)]


def _file_of(table: Path, path: str) -> Path:
    """Return the file of a path in a table, relative to the table's folder or to a folder above it."""
    places = [folder / path for folder in (table.parent, *table.parent.parents[:_PARENTS])]
    return next((place for place in places if place.is_file()), places[0])


def _votes(file: Path, row: dict[str, Any]) -> npt.NDArray[np.int16]:
    votes = row["votes"] or [0] * len(VOTE_COLUMNS)
    if len(votes) != len(VOTE_COLUMNS) or not all(vote is not None and 0 <= vote < 1000 for vote in votes):
        raise DataError(f"{file}: expected {len(VOTE_COLUMNS)} counts in column votes, got {votes}")
    return np.array(votes, np.int16)
