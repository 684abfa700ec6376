"""From a data set on disk, in any of the layouts that FER2013 is passed around in, to `LabelledFaces`.

Layouts: `<class>/*`, `<split>/<class>/*` (Kaggle's `train/ validation/ test/`), `fer2013.csv`, Hugging Face parquet
files, a folder that holds one of these tables, and a folder that holds nothing but another folder with one of all these
(Kaggle's `images/`). A picture that cannot be read is skipped, and `LabelledFaces.skipped` says why.
"""

import csv
import logging
import re
import warnings
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path

import numpy as np

from embeddings.crops import SIZE
from embeddings.labelled import (
    DataError,
    Face,
    LabelledFaces,
    Progress,
    Skipped,
    content_hash,
    gather,
    label_sets,
    reporting,
)
from embeddings.layout import CSV_NAMES, SPLITS, class_folders, innermost, split_name, tables, visible
from embeddings.parquet import read_parquet
from embeddings.pictures import PictureError, read_crop

__all__ = ["DataError", "LabelledFaces", "Skipped", "content_hash", "label_sets", "read_labelled_faces", "read_splits"]

logger = logging.getLogger(__name__)

# The numbers in column `emotion`. Their order is not that of FER2013_CLASSES, which is alphabetical as folders are.
CSV_EMOTIONS = {"0": "angry", "1": "disgust", "2": "fear", "3": "happy", "4": "sad", "5": "surprise", "6": "neutral"}

_SHARD = re.compile(r"-\d+-of-\d+$")


def read_labelled_faces(path: Path, *, split: str | None = None, progress: Progress | None = None) -> LabelledFaces:
    """Reads a data set of labelled faces, in a fixed order.

    Args:
        path: A folder, a `.csv` or a `.parquet` file, in one of the layouts above.
        split: Which split to read where there are several: "train", "validation" or "test" (in Kaggle's words
            "Training", "PublicTest" or "PrivateTest"). It may stay out where the data set has one split or none.
        progress: Called with the pictures read so far and their number.

    Returns:
        The faces; at least one.

    Raises:
        DataError: there is no data set at `path`, the split is not in it or not said though there are several, a table
            is broken, or not one picture can be read.
    """
    root, files = _located(path)
    if not files:
        faces = _read_folder(path, root, split, progress)
    elif files[0].suffix.lower() == ".csv":
        faces = _read_csv(files[0], split, progress)
    else:
        by_split = _parquet_splits(files)
        faces = read_parquet(by_split[_choose_split(by_split, split, root)], progress=progress)
    if faces.skipped:
        logger.warning("%s: skipped %d of %d pictures", path, len(faces.skipped), len(faces) + len(faces.skipped))
    return faces


def read_splits(path: Path, *, progress: Progress | None = None) -> dict[str, LabelledFaces]:
    """Reads all splits of a data set.

    Args:
        path: As for `read_labelled_faces`.
        progress: Called with the pictures read so far and their number, for each split anew.

    Returns:
        The faces of each split by its name, train, validation and test first; under "" where the data set has no
        splits. Each has at least one face.

    Raises:
        DataError: as for `read_labelled_faces`, of any of the splits.
    """
    root, files = _located(path)
    if files and files[0].suffix.lower() == ".csv":
        by_split, _ = _csv_splits(files[0], progress)
        parts = {name: gather(rows, CSV_EMOTIONS.values(), str(files[0])) for name, rows in by_split.items()}
    else:
        found = _parquet_splits(files) if files else {folder.split for folder in class_folders(root)}
        names = [name for name in found if name is not None]
        parts = {name: read_labelled_faces(path, split=name, progress=progress) for name in names}
    order = list(dict.fromkeys(SPLITS.values()))
    known = sorted(parts, key=lambda name: (order.index(name) if name in order else len(order), name))
    return {name: parts[name] for name in known} or {"": read_labelled_faces(path, progress=progress)}


def _located(path: Path) -> tuple[Path, list[Path]]:
    """Returns where a data set stands and its tables: none, one .csv, or .parquet files."""
    if not path.exists():
        raise DataError(f"{path}: expected a data set (a folder, a .csv or a .parquet file), received no such path")
    root = innermost(path) if path.is_dir() else path
    files = tables(root) if root.is_dir() else [root]
    kinds = [file.suffix.lower() for file in files]
    if set(kinds) <= {".parquet"} or kinds == [".csv"]:
        return root, files
    found = ", ".join(file.name for file in files)
    raise DataError(f"{root}: expected class folders, one .csv or .parquet files, received {found}; name one")


def _choose_split(available: Collection[str], wanted: str | None, where: Path) -> str:
    """Returns the one of `available`, at least one, that is meant."""
    listed = ", ".join(sorted(available))
    if wanted is None:
        if len(available) > 1:
            raise DataError(f"{where}: expected a split to be chosen, received none; choose one of {listed}")
        return next(iter(available))
    name = split_name(wanted)
    if name not in available:
        raise DataError(f"{where}: expected one of the splits {listed}, received {wanted!r}; choose one of them")
    return name


def _refuse_split(wanted: str | None, where: Path) -> None:
    if wanted is not None:
        raise DataError(f"{where}: expected no split, as this data set has none, received {wanted!r}; leave it out")


def _parquet_splits(files: list[Path]) -> dict[str, list[Path]]:
    """Returns the files of each split: `train.parquet`, or `train-00000-of-00002.parquet` and on."""
    by_split = defaultdict(list)
    for file in files:
        by_split[split_name(_SHARD.sub("", file.stem))].append(file)
    return by_split


def _read_folder(path: Path, root: Path, split: str | None, progress: Progress | None) -> LabelledFaces:
    found = class_folders(root)
    if not found:
        raise DataError(f"{root}: expected folders named for classes, {CSV_NAMES[0]} or .parquet files, received none")
    names = [folder.path.name for folder in found]
    if found[0].split is None:
        _refuse_split(split, root)
    else:
        chosen = _choose_split({folder.split or "" for folder in found}, split, root)
        found = [folder for folder in found if folder.split == chosen]
    files = [(folder.path.name, file) for folder in found for file in visible(folder.path)]
    rows = (_picture(file, label, file.relative_to(path).as_posix()) for label, file in files)
    return gather(reporting(rows, len(files), progress), names, str(path))


def _picture(file: Path, label: str, source: str) -> Face | Skipped:
    if file.is_dir():
        return Skipped(source, "expected a picture, received a folder; pictures stand in the class folder itself")
    try:
        return Face(source, label, read_crop(file))
    except (PictureError, OSError) as error:
        return Skipped(source, str(error))


def _read_csv(file: Path, split: str | None, progress: Progress | None) -> LabelledFaces:
    by_split, columns = _csv_splits(file, progress)
    if "usage" not in columns:
        _refuse_split(split, file)
    chosen = by_split[_choose_split(by_split, split, file)] if by_split else []
    return gather(chosen, CSV_EMOTIONS.values(), str(file))


def _csv_splits(file: Path, progress: Progress | None) -> tuple[dict[str, list[Face | Skipped]], dict[str, int]]:
    """Returns the rows of each split, "" where the table does not say, and where its columns stand."""
    by_split: defaultdict[str, list[Face | Skipped]] = defaultdict(list)
    with file.open("rb") as stream:
        total = sum(1 for _ in stream) - 1
    try:
        with file.open(newline="", encoding="utf-8-sig", errors="replace") as text:
            reader = csv.reader(text)
            columns = _csv_columns(file, next(reader, []))
            for row in reporting(reader, total, progress):
                usage = row[columns["usage"]] if "usage" in columns and len(row) > columns["usage"] else ""
                by_split[split_name(usage)].append(_csv_face(f"{file.name}#{reader.line_num}", row, columns))
    except csv.Error as error:
        raise DataError(f"{file}: expected comma-separated rows, received others ({error}); fetch it again") from error
    return by_split, columns


def _csv_columns(file: Path, header: list[str]) -> dict[str, int]:
    # One of Kaggle's two files writes a space before the names.
    columns = {name.strip().lower(): column for column, name in enumerate(header)}
    if not {"emotion", "pixels"} <= columns.keys():
        found = ", ".join(header)[:200] or "none"
        raise DataError(f"{file}: expected the columns emotion, pixels and Usage, received {found}")
    return columns


def _csv_face(source: str, row: list[str], columns: dict[str, int]) -> Face | Skipped:
    if len(row) <= max(columns["emotion"], columns["pixels"]):
        return Skipped(source, f"expected {len(columns)} columns, received {len(row)}")
    emotion = row[columns["emotion"]].strip()
    if emotion not in CSV_EMOTIONS:
        return Skipped(source, f"expected an emotion from 0 to {len(CSV_EMOTIONS) - 1}, received {emotion[:20]!r}")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", DeprecationWarning)  # how numpy < 3 says that a text holds more than numbers
            pixels = np.fromstring(row[columns["pixels"]], dtype=np.int64, sep=" ")
    except (ValueError, DeprecationWarning):
        return Skipped(source, "expected pixels as numbers, received other text")
    if pixels.size != SIZE * SIZE or pixels.min() < 0 or pixels.max() > 255:
        return Skipped(source, f"expected {SIZE * SIZE} pixels from 0 to 255, received {pixels.size} or others")
    return Face(source, CSV_EMOTIONS[emotion], pixels.astype(np.uint8).reshape(SIZE, SIZE))
