"""Where the labelled pictures of a folder stand: `<class>/*`, `<split>/<class>/*`, or one of these a folder further in.

A data set is read from there all at once (`embeddings.datasets`), the user's gallery is kept in line with it file by
file (`index.sync`); both ask here which class folders there are.
"""

from pathlib import Path
from typing import NamedTuple

SPLITS = {
    "train": "train",
    "training": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "publictest": "validation",
    "test": "test",
    "testing": "test",
    "privatetest": "test",
}

CSV_NAMES = ("fer2013.csv", "icml_face_data.csv")

_CLUTTER = ("__macosx", "thumbs.db", "desktop.ini")


class ClassFolder(NamedTuple):
    """A folder whose name is the class of the pictures in it.

    Attributes:
        path: Where it is; its name is the class, as the data set spells it.
        split: The split it belongs to, in the words of `SPLITS`; None where the data set has no splits.
    """

    path: Path
    split: str | None


def class_folders(root: Path) -> list[ClassFolder]:
    """Lists the class folders of a data set, in a fixed order; none where `root` has no folders.

    Args:
        root: The folder that holds them, or their splits; `innermost` finds it.
    """
    splits = [folder for folder in folders(root) if folder.name.lower() in SPLITS and folders(folder)]
    if splits:
        return [ClassFolder(inner, split_name(folder.name)) for folder in splits for inner in folders(folder)]
    return [ClassFolder(folder, None) for folder in folders(root)]


def innermost(folder: Path) -> Path:
    """Goes down while a folder only wraps another: one that is no split and has more folders, or a table, inside."""
    inside = folders(folder)
    if len(inside) != 1 or tables(folder) or inside[0].name.lower() in SPLITS:
        return folder
    inner = inside[0]
    # One class that holds pictures, and a folder beside them, wraps nothing.
    wraps = tables(inner) or all(entry.is_dir() for entry in visible(inner))
    return innermost(inner) if wraps and visible(inner) else folder


def visible(folder: Path) -> list[Path]:
    """Returns what stands in a folder, sorted the same on every system, without what systems hide there."""
    return sorted((entry for entry in folder.iterdir() if is_visible(entry.name)), key=lambda entry: entry.name)


def is_visible(name: str) -> bool:
    """Says whether a file or folder of this name is a person's own, and not one that systems hide there."""
    return not name.startswith(".") and name.lower() not in _CLUTTER


def folders(folder: Path) -> list[Path]:
    """Returns the visible folders in a folder."""
    return [entry for entry in visible(folder) if entry.is_dir()]


def tables(folder: Path) -> list[Path]:
    """Returns the visible tables of a folder: parquet files, and FER2013's under its known names."""
    return [
        entry
        for entry in visible(folder)
        if entry.is_file() and (entry.suffix.lower() == ".parquet" or entry.name.lower() in CSV_NAMES)
    ]


def split_name(text: str) -> str:
    """Returns the project's name of a split; one that it does not know stays as it is, in lower case."""
    plain = text.strip().lower()
    return SPLITS.get(plain, plain)
