"""Labelled faces from parquet files in the layout of Hugging Face's `datasets`; the only place that needs pyarrow.

Columns: `image` (a struct of `bytes` and `path`), `label` (strings, or integers whose names stand as a `ClassLabel` in
the schema's metadata under "huggingface"), and optionally `votes` (ten integers a row, in the order of
`embeddings.labels.VOTE_COLUMNS`) and `twin` (bool).
"""

import contextlib
import itertools
import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from embeddings.labelled import DataError, Face, LabelledFaces, Progress, Skipped, gather, reporting
from embeddings.labels import VOTE_COLUMNS
from embeddings.pictures import PictureError, read_crop

_BATCH = 1024
_COLUMNS = ("image", "label", "votes", "twin")


def read_parquet(files: Sequence[Path], *, progress: Progress | None = None) -> LabelledFaces:
    """Reads the parquet files of one split as one data set.

    Args:
        files: The files, in order.
        progress: Called with the rows read and their number.

    Raises:
        DataError: pyarrow is not installed, a file is broken or has other columns, or no picture can be read.
    """
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise DataError("parquet files need pyarrow: pip install -r requirements/all.txt") from error
    where = ", ".join(str(file) for file in files)
    try:
        with contextlib.ExitStack() as stack:
            tables = {file: stack.enter_context(pyarrow.parquet.ParquetFile(file)) for file in files}
            names = {file: _label_names(file, table.schema_arrow) for file, table in tables.items()}
            rows = (row for file, table in tables.items() for row in _rows(file, table, names[file]))
            total = sum(table.metadata.num_rows for table in tables.values())
            return gather(reporting(rows, total, progress), itertools.chain(*names.values()), where)
    except (pyarrow.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise DataError(
            f"{where}: expected a parquet file, received a broken one ({reason}); fetch it again"
        ) from error


def _label_names(file: Path, schema: Any) -> tuple[str, ...]:
    """Returns the names of integer labels; none where the labels are strings."""
    import pyarrow

    missing = {"image", "label"} - set(schema.names)
    if missing:
        raise DataError(f"{file}: expected the columns image and label, received {', '.join(schema.names)}")
    image, label = schema.field("image").type, schema.field("label").type
    if not pyarrow.types.is_struct(image) or image.get_field_index("bytes") < 0:
        raise DataError(f"{file}: expected column image to be a struct with bytes and path, received {image}")
    if not pyarrow.types.is_integer(label):
        text = label.value_type if pyarrow.types.is_dictionary(label) else label
        if not (pyarrow.types.is_string(text) or pyarrow.types.is_large_string(text)):
            raise DataError(f"{file}: expected column label to hold integers or strings, received {label}")
        return ()
    try:
        features = json.loads(schema.metadata[b"huggingface"])["info"]["features"]
        return tuple(str(name) for name in features["label"]["names"])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{file}: expected the names of the integer labels (ClassLabel), received none; use strings"
        ) from error


def _rows(file: Path, table: Any, names: tuple[str, ...]) -> Iterator[Face | Skipped]:
    columns = [name for name in _COLUMNS if name in table.schema_arrow.names]
    number = 0
    for batch in table.iter_batches(batch_size=_BATCH, columns=columns):
        for row in batch.to_pylist():
            yield _face(file, number, row, names)
            number += 1


def _face(file: Path, number: int, row: dict[str, Any], names: tuple[str, ...]) -> Face | Skipped:
    image, label = row["image"] or {}, row["label"]
    source = image.get("path") or f"{file.name}#{number}"
    if names:
        label = names[label] if label is not None and 0 <= label < len(names) else None
    if not label or not label.strip():
        return Skipped(source, f"expected a label, received {row['label']}")
    if image.get("bytes") is None:
        return Skipped(source, "expected the bytes of a picture, received none")
    try:
        crop = read_crop(image["bytes"])
    except PictureError as error:
        return Skipped(source, str(error))
    return Face(source, label, crop, _votes(file, row) if "votes" in row else None, bool(row.get("twin")))


def _votes(file: Path, row: dict[str, Any]) -> npt.NDArray[np.int16]:
    votes = row["votes"] or [0] * len(VOTE_COLUMNS)
    if len(votes) != len(VOTE_COLUMNS) or not all(vote is not None and 0 <= vote < 1000 for vote in votes):
        raise DataError(f"{file}: expected {len(VOTE_COLUMNS)} counts in column votes, received {votes}")
    return np.array(votes, np.int16)
