"""Which tables make up a data set: found in its folder, told apart by split, refused where they are ambiguous."""

import logging
from collections import defaultdict
from pathlib import Path

from moodspace.embeddings.data.csv import has_faces
from moodspace.embeddings.data.labelled import DataError
from moodspace.embeddings.data.layout import (
    CSV_NAMES,
    FERPLUS_NAME,
    class_folders,
    innermost,
    nested_tables,
    other_csv,
    parquet_split,
    split_name,
    tables,
)

logger = logging.getLogger(__name__)


def located(path: Path) -> tuple[Path, list[Path]]:
    """Returns where a data set stands and its tables: none, .csv, or .parquet files."""
    if not path.exists():
        raise DataError(f"{path}: expected a data set (a folder, a .csv or a .parquet file), received no such path")
    if path.is_file():
        _refuse_votes([path])
        root, files = path, [path]
    else:
        root = innermost(path)
        # The Hub's default/train/0000.parquet looks like a class folder that holds a file.
        further_in = nested_tables(root)
        files = tables(root) or further_in
        if files != further_in and further_in:
            logger.warning("%s: read %s, and left out %d tables further in", root, files[0].name, len(further_in))
        if not files and (others := other_csv(root)):
            with_faces = [file for file in others if has_faces(file)]
            if not class_folders(root):
                files = with_faces
                if not files:
                    _refuse_votes(others)
    kinds = {file.suffix.lower() for file in files}
    known = [file for file in files if file.name.lower() in CSV_NAMES]
    if kinds <= {".parquet"} or (kinds == {".csv"} and (len(files) == 1 or not known)):
        _tell_of_unused_votes(root, known)
        return root, files
    found = ", ".join(file.name for file in files)
    raise DataError(f"{root}: expected class folders, one .csv or .parquet files, received {found}; name one")


def _refuse_votes(files: list[Path]) -> None:
    """Refuses the votes of FER+ as a data set: they come without pictures."""
    for file in files:
        if file.name.lower() == FERPLUS_NAME:
            raise DataError(
                f"{file}: expected faces, received the votes of FER+, which have no pictures; "
                "put fer2013.csv beside it, and name that or their folder"
            )


def _tell_of_unused_votes(root: Path, known: list[Path]) -> None:
    for file in other_csv(root) if root.is_dir() and not known else []:
        if file.name.lower() == FERPLUS_NAME:
            logger.warning("%s: left out; these votes belong to fer2013.csv, which is not beside them", file)


def is_csv(file: Path) -> bool:
    """Says whether a file is a CSV by its name."""
    return file.suffix.lower() == ".csv"


def csv_splits(files: list[Path]) -> dict[str, Path]:
    """Returns each of several CSV files under the split that its name says (`train.csv`, `test.csv`)."""
    return {split_name(file.stem): file for file in files}


def parquet_splits(files: list[Path]) -> dict[str, list[Path]]:
    """Returns the files of each split, in order; files that say no split are one data set without splits.

    Raises:
        DataError: files of several data sets (the Hub's configurations) stand beside each other.
    """
    by_split: defaultdict[str, list[Path]] = defaultdict(list)
    for file in files:
        by_split[parquet_split(file)].append(file)
    for name, shards in by_split.items():
        folders = list(dict.fromkeys(shard.parent for shard in shards))
        if len(folders) > 1:
            listed = ", ".join(str(folder) for folder in folders)
            raise DataError(f"{listed}: expected one data set, received {len(folders)} with a split {name!r}; name one")
    return by_split
