"""Read a data set from disk into `LabelledFaces`, in any layout that FER2013 is published in.

Layouts: `<class>/*`, `<split>/<class>/*` (Kaggle's `train/ validation/ test/`), `fer2013.csv` (with the votes of FER+
if `fer2013new.csv` is in its folder) and other tables of that form, Hugging Face parquet files, a folder with such
tables, and a folder that only wraps a folder with one of these (Kaggle's `images/`). A picture or row that cannot be
read is skipped and listed in `LabelledFaces.skipped` with the reason.
"""

import logging
import re
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import replace
from pathlib import Path

from moodspace.embeddings.data.csv import (
    CSV_EMOTIONS,
    CsvTable,
    Votes,
    has_faces,
    read_csv_table,
    split_names,
    votes_beside,
)
from moodspace.embeddings.data.labelled import (
    DataError,
    Face,
    LabelledFaces,
    Progress,
    Skipped,
    gather,
    reporting,
)
from moodspace.embeddings.data.labels import FER2013_CLASSES, FER2013_SET, VOTES_SET
from moodspace.embeddings.data.layout import (
    CSV_NAMES,
    FERPLUS_NAME,
    SPLITS,
    class_folders,
    class_name,
    has_numbered_classes,
    innermost,
    nested_tables,
    numbered_folders_message,
    other_csv,
    parquet_split,
    split_name,
    tables,
    visible,
)
from moodspace.embeddings.data.parquet import read_parquet
from moodspace.embeddings.pictures import PictureError, read_crop

logger = logging.getLogger(__name__)

# FER2013's numbers of training faces, as Kaggle has them in a table and in folders.
_FER2013_FACES = (28_709, 28_821)
# Names of folders and files that say nothing about the labels.
_GENERIC_NAMES = {"train", "training", "validation", "test", "images", "data", "dataset", "archive", "default", ""}
# Names that a label set cannot have: the blend, known label sets, and the network's layers and inputs.
_RESERVED_NAMES = {"blend", "crops", "embedding", "encoder", FER2013_SET, VOTES_SET, "mixup", "neck", "partner",
                   "projection", "training", "weight"}  # fmt: skip


def read_labelled_faces(path: Path, *, split: str | None = None, progress: Progress | None = None) -> LabelledFaces:
    """Read a data set of labelled faces, in a fixed order.

    Args:
        path: A folder, a `.csv` or a `.parquet` file, in one of the layouts above.
        split: The split to read: "train", "validation" or "test" (at Kaggle "Training", "PublicTest" or
            "PrivateTest"). Optional if the data set has one split or none.
        progress: Called with the number of pictures read and the total.

    Returns:
        The faces, at least one.

    Raises:
        DataError: There is no data set at `path`, the split is missing or one of several has to be named, a table is
            damaged, or no picture can be read.
    """
    root, files = located(path)
    if not files:
        faces = _read_folder(path, root, split, progress)
    elif is_csv(files[0]):
        faces = _read_csv(files, split, progress)
    else:
        by_split = parquet_splits(files)
        if set(by_split) == {""}:
            _refuse_split(split, root)
        faces = read_parquet(by_split[_choose_split(by_split, split, root)], progress=progress)
    if faces.skipped:
        logger.warning("%s: skipped %d of %d pictures", path, len(faces.skipped), len(faces) + len(faces.skipped))
    return faces


def splits_in(path: Path) -> list[str]:
    """Return the splits of a data set, train, validation and test first; an empty list if it has none.

    Raises:
        DataError: There is no data set at `path`, or a table is damaged.
    """
    root, files = located(path)
    if not files:
        names = {folder.split for folder in class_folders(root)}
    elif is_csv(files[0]):
        names = set(csv_splits(files)) if len(files) > 1 else set(split_names(files[0]))
    else:
        names = set(parquet_splits(files))
    return _ordered(name for name in names if name)


def read_splits(path: Path, *, progress: Progress | None = None) -> dict[str, LabelledFaces]:
    """Read all splits of a data set.

    Args:
        path: As for `read_labelled_faces`.
        progress: Called with the number of pictures read and the total, for each split.

    Returns:
        The faces of each split by its name, train, validation and test first; under "" if the data set has no
        splits. Each has at least one face; a split without faces is listed in `skipped` of the first one.

    Raises:
        DataError: As for `read_labelled_faces`, but errors of a split only if no other split can be read.
    """
    _, files = located(path)
    table = _csv_table(files[0], progress) if len(files) == 1 and is_csv(files[0]) else None
    names = _ordered(table.by_split) if table else splits_in(path) or [""]
    unplaced = table.unplaced if table else []
    parts: dict[str, LabelledFaces] = {}
    errors: list[DataError] = []
    for name in names:
        try:
            parts[name] = (
                _csv_part(files[0], table, name) if table
                else read_labelled_faces(path, split=name or None, progress=progress)
            )  # fmt: skip
        except DataError as error:
            errors.append(error)
            unplaced = [*unplaced, Skipped(f"split {name}", str(error))]
    if not parts:
        raise errors[0] if errors else _no_faces(files[0], unplaced)
    first = next(iter(parts))
    parts[first] = replace(parts[first], skipped=parts[first].skipped + tuple(unplaced))
    return parts


def label_set_name(path: Path, faces: LabelledFaces) -> str:
    """Return the name of a data set's labels: "fer2013" for FER2013, otherwise the name of its folder or file."""
    whole = path.resolve()
    spelled = re.sub(r"[^a-z0-9/]", "", "/".join((whole.parent.parent.name, whole.parent.name, whole.name)).lower())
    if faces.classes == FER2013_CLASSES and (
        FER2013_SET in spelled
        or len(faces) in _FER2013_FACES
        or faces.sources[0].lower().startswith(tuple(f"{name}#" for name in CSV_NAMES))
    ):
        return FER2013_SET
    for part in (whole.stem if whole.is_file() else whole.name, whole.parent.name, whole.parent.parent.name):
        name = re.sub(r"[^a-z0-9]+", "_", part.lower()).strip("_")[:40]
        if name not in _GENERIC_NAMES:
            return f"{name}_labels" if name in _RESERVED_NAMES or name[0].isdigit() else name
    return "labels"


def _ordered(names: Iterable[str]) -> list[str]:
    order = list(dict.fromkeys(SPLITS.values()))
    return sorted(names, key=lambda name: (order.index(name) if name in order else len(order), name))


def _choose_split(available: Collection[str], wanted: str | None, where: Path) -> str:
    """Return the wanted split, or the only one."""
    listed = ", ".join(sorted(available))
    if wanted is None:
        if len(available) > 1:
            raise DataError(f"{where}: expected a split to be chosen, got none; choose one of {listed}")
        return next(iter(available))
    name = split_name(wanted)
    if name not in available:
        raise DataError(f"{where}: expected one of the splits {listed}, got {wanted!r}; choose one of them")
    return name


def _refuse_split(wanted: str | None, where: Path) -> None:
    if wanted is not None:
        raise DataError(f"{where}: expected no split, as this data set has none, got {wanted!r}; leave it out")


def _read_folder(path: Path, root: Path, split: str | None, progress: Progress | None) -> LabelledFaces:
    found = class_folders(root)
    if not found:
        raise DataError(f"{root}: expected folders named for classes, {CSV_NAMES[0]} or .parquet files, got none")
    if has_numbered_classes(found):
        raise DataError(numbered_folders_message(root, found))
    named = {folder.path: class_name(folder) for folder in found}
    if found[0].split is None:
        _refuse_split(split, root)
    else:
        chosen = _choose_split({folder.split or "" for folder in found}, split, root)
        found = [folder for folder in found if folder.split == chosen]
    files = [(named[folder.path], file) for folder in found for file in visible(folder.path)]
    rows = (_picture(file, label, file.relative_to(path).as_posix()) for label, file in files)
    return gather(reporting(rows, len(files), progress), named.values(), str(path))


def _picture(file: Path, label: str, source: str) -> Face | Skipped:
    if file.is_dir():
        return Skipped(source, "expected a picture, got a folder; put the pictures into the class folder itself")
    try:
        return Face(source, label, read_crop(file))
    except (PictureError, OSError) as error:
        return Skipped(source, str(error))


def _read_csv(files: list[Path], split: str | None, progress: Progress | None) -> LabelledFaces:
    if len(files) > 1:
        by_name = csv_splits(files)
        file = by_name[_choose_split(by_name, split, files[0].parent)]
        return _csv_part(file, _csv_table(file, progress), None)
    table = _csv_table(files[0], progress)
    if not table.has_usage or set(table.by_split) == {""}:
        _refuse_split(split, files[0])
    if not table.by_split:
        raise _no_faces(files[0], table.unplaced)
    faces = _csv_part(files[0], table, _choose_split(table.by_split, split, files[0]))
    return replace(faces, skipped=faces.skipped + tuple(table.unplaced))


def _csv_table(file: Path, progress: Progress | None) -> CsvTable:
    """Read a table, with the votes of FER+ if they are in its folder."""
    beside = votes_beside(file)
    if beside is None:
        return read_csv_table(file, progress)
    votes = Votes(beside)
    table = read_csv_table(file, progress, votes.counts)
    votes.check_against(file, table.usages)
    return replace(table, unplaced=[*table.unplaced, *votes.skipped])


def _csv_part(file: Path, table: CsvTable, name: str | None) -> LabelledFaces:
    """Return the faces of one split of a table, or of all its rows if `name` is None."""
    if name is None:
        rows = [row for part in table.by_split.values() for row in part] + list(table.unplaced)
    else:
        rows = table.by_split[name]
    return gather(rows, CSV_EMOTIONS.values(), str(file))


def _no_faces(file: Path, skipped: list[Skipped]) -> DataError:
    first = f"; the first of {len(skipped)} skipped, {skipped[0].source}: {skipped[0].reason}" if skipped else ""
    return DataError(f"{file}: expected at least one readable labelled picture, got none{first}")


def located(path: Path) -> tuple[Path, list[Path]]:
    """Return the folder of a data set and its tables: none, .csv or .parquet files."""
    if not path.exists():
        raise DataError(f"{path}: expected a data set (a folder, a .csv or a .parquet file), got no such path")
    if path.is_file():
        _refuse_votes([path])
        root, files = path, [path]
    else:
        root = innermost(path)
        # The Hub's default/train/0000.parquet looks like a class folder that holds a file.
        further_in = nested_tables(root)
        files = tables(root) or further_in
        if files != further_in and further_in:
            logger.warning("%s: read %s, and left out %d tables in subfolders", root, files[0].name, len(further_in))
        if not files and (others := other_csv(root)):
            with_faces = [file for file in others if has_faces(file)]
            if not class_folders(root):
                files = with_faces
                if not files:
                    _refuse_votes(others)
    kinds = {file.suffix.lower() for file in files}
    known = [file for file in files if file.name.lower() in CSV_NAMES]
    if kinds <= {".parquet"} or (kinds == {".csv"} and (len(files) == 1 or not known)):
        _warn_of_unused_votes(root, known)
        return root, files
    found = ", ".join(file.name for file in files)
    raise DataError(f"{root}: expected class folders, one .csv or .parquet files, got {found}; name one")


def _refuse_votes(files: list[Path]) -> None:
    """Refuse the votes of FER+ as a data set, because they have no pictures."""
    for file in files:
        if file.name.lower() == FERPLUS_NAME:
            raise DataError(
                f"{file}: expected faces, got the votes of FER+, which have no pictures; "
                "put fer2013.csv into the same folder and name that file or the folder"
            )


def _warn_of_unused_votes(root: Path, known: list[Path]) -> None:
    for file in other_csv(root) if root.is_dir() and not known else []:
        if file.name.lower() == FERPLUS_NAME:
            logger.warning("%s: left out; these votes belong to fer2013.csv, which is not in this folder", file)


def is_csv(file: Path) -> bool:
    """Return whether a file is a CSV by its name."""
    return file.suffix.lower() == ".csv"


def csv_splits(files: list[Path]) -> dict[str, Path]:
    """Return several CSV files by the split that their names give (`train.csv`, `test.csv`)."""
    return {split_name(file.stem): file for file in files}


def parquet_splits(files: list[Path]) -> dict[str, list[Path]]:
    """Return the files of each split, in order. Files that name no split are under "".

    Raises:
        DataError: The files are of several data sets (configurations of the Hub).
    """
    by_split: defaultdict[str, list[Path]] = defaultdict(list)
    for file in files:
        by_split[parquet_split(file)].append(file)
    for name, shards in by_split.items():
        folders = list(dict.fromkeys(shard.parent for shard in shards))
        if len(folders) > 1:
            listed = ", ".join(str(folder) for folder in folders)
            raise DataError(f"{listed}: expected one data set, got {len(folders)} with a split {name!r}; name one")
    return by_split
