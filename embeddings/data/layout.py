"""Find the parts of a data set in a folder: class folders, splits and tables.

Class folders are `<class>/*` or `<split>/<class>/*`, possibly inside a folder that only wraps them. `readers` reads a
whole data set from them; `moodspace.index.taught.sync_plan` keeps the user's gallery in line with them, file by file.
"""

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "publictest": "validation",
    "test": "test",
    "testing": "test",
    "privatetest": "test",
}

CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")
FERPLUS_NAME = "fer2013new.csv"

# RAF-DB names its class folders by numbers, from 1.
RAF_DB = {"1": "surprise", "2": "fear", "3": "disgust", "4": "happy", "5": "sad", "6": "angry", "7": "neutral"}

# Depth of parquet files in a data set of the Hub: data/, default/train/.
_TABLE_DEPTH = 3

_SHARD = re.compile(r"-\d+-of-\d+(-[0-9a-f]{6,})?$|_\d+$")
_NOTES = (".md", ".txt", ".json", ".yaml", ".yml")
_CLUTTER = ("__macosx", "thumbs.db", "desktop.ini")


class ClassFolder(NamedTuple):
    """A folder whose name is the class of the pictures in it.

    Attributes:
        path: The folder; its name is the class, as the data set spells it.
        split: Its split, a value of `SPLITS`; None if the data set has no splits.
    """

    path: Path
    split: str | None


def class_folders(root: Path) -> list[ClassFolder]:
    """List the class folders of a data set, in a fixed order.

    Args:
        root: The folder that has them, or their splits; `innermost` finds it.
    """
    splits = [folder for folder in folders(root) if folder.name.lower() in SPLITS and folders(folder)]
    if splits:
        return [ClassFolder(inner, split_name(folder.name)) for folder in splits for inner in folders(folder)]
    return [ClassFolder(folder, None) for folder in folders(root)]


def innermost(folder: Path) -> Path:
    """Return the first folder that does more than wrap one other folder; a wrapped split or class is not entered."""
    inside = folders(folder)
    if len(inside) != 1 or tables(folder) or inside[0].name.lower() in SPLITS:
        return folder
    inner = inside[0]
    # A single class folder with pictures, and a folder among them, wraps nothing.
    wraps = tables(inner) or all(entry.is_dir() for entry in visible(inner))
    return innermost(inner) if wraps and visible(inner) else folder


def visible(folder: Path) -> list[Path]:
    """Return the entries of a folder, without hidden and system files, sorted the same on every system."""
    return sorted((entry for entry in folder.iterdir() if is_visible(entry.name)), key=lambda entry: entry.name)


def is_visible(name: str) -> bool:
    """Return whether a name is neither hidden nor that of a system file."""
    return not name.startswith(".") and name.lower() not in _CLUTTER


def folders(folder: Path) -> list[Path]:
    """Return the visible folders in a folder."""
    return [entry for entry in visible(folder) if entry.is_dir()]


def tables(folder: Path) -> list[Path]:
    """Return the visible tables of a folder: parquet files, and FER2013's CSV files under their known names."""
    return [
        entry
        for entry in visible(folder)
        if entry.is_file() and (entry.suffix.lower() == ".parquet" or entry.name.lower() in CSV_NAMES)
    ]


def other_csv(folder: Path) -> list[Path]:
    """Return the visible CSV files of a folder under other names than FER2013's."""
    return [file for file in visible(folder) if file.is_file() and file.suffix.lower() == ".csv"]


def nested_tables(root: Path) -> list[Path]:
    """Return the parquet files in subfolders, as the Hub has them (`data/`, `default/train/0000.parquet`).

    The list is empty if there are pictures or other files among them, except notes on the data.
    """
    found: list[Path] = []
    level = folders(root)
    for _ in range(_TABLE_DEPTH):
        inner: list[Path] = []
        for folder in level:
            with os.scandir(folder) as entries:
                for entry in entries:
                    name = entry.name.lower()
                    if not is_visible(name) or name.endswith(_NOTES):
                        continue
                    if entry.is_dir():
                        inner.append(Path(entry.path))
                    elif name.endswith(".parquet"):
                        found.append(Path(entry.path))
                    else:
                        return []  # at once, because there may be a hundred thousand pictures
        level = inner
    return sorted(found)


def parquet_split(file: Path) -> str:
    """Return the split of a parquet file by its name or its folder's name; "" if neither names one.

    Names may be `train.parquet`, `train-00000-of-00002.parquet`, both followed by a hash, `mine-train.parquet`,
    `train/0000.parquet` or `partial-train/0000.parquet`. Any other name is itself the split.
    """
    stem = _SHARD.sub("", file.stem)
    for name in (stem, file.parent.name.lower().removeprefix("partial-")):
        if split_name(name) in SPLITS.values():
            return split_name(name)
        words = [word for word in re.split(r"[-_.]", name.lower()) if word in SPLITS]
        if len(words) == 1 and name == stem:
            return SPLITS[words[0]]
    return "" if stem.isdecimal() or not stem else stem.lower()


def class_name(folder: ClassFolder) -> str:
    """Return the class of a folder: its name, or in RAF-DB the expression of its number."""
    return RAF_DB[folder.path.name] if folder.path.name in RAF_DB and _is_raf_db(folder) else folder.path.name


def has_numbered_classes(found: Sequence[ClassFolder]) -> bool:
    """Return whether all classes are numbers, which different data sets give to different expressions."""
    return bool(found) and all(class_name(folder).strip().isdecimal() for folder in found)


def numbered_folders_message(root: Path, found: Sequence[ClassFolder]) -> str:
    """Return the error message for a data set whose classes are numbers."""
    names = sorted({folder.path.name for folder in found}, key=lambda name: (len(name), name))
    known = ", ".join(f"{number} {name}" for number, name in RAF_DB.items())
    return (
        f"{root}: expected folders named for expressions, got the numbers {', '.join(names)}, which data sets "
        f"count differently; rename them (FER2013: 0 angry, 1 disgust, 2 fear, 3 happy, 4 sad, 5 surprise, 6 neutral; "
        f"RAF-DB: {known})"
    )


def _is_raf_db(folder: ClassFolder) -> bool:
    """Return whether a numbered folder is of RAF-DB: 1 to 7 exist, and the path or the pictures have its names."""
    beside = {inner.name for inner in folders(folder.path.parent)}
    if beside != set(RAF_DB):
        return False
    named = any(re.search(r"raf([-_. ]?db|\b)", part.lower()) for part in folder.path.parts)
    first = next((entry.name for entry in visible(folder.path)), "")
    return named or bool(re.match(r"(train|test)_\d+(_aligned)?\.", first.lower()))


def split_name(text: str) -> str:
    """Return the canonical name of a split; an unknown one in lower case."""
    plain = text.strip().lower()
    return SPLITS.get(plain, plain)
