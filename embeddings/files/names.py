"""Name for new files that fit the file system, whatever they are derived from."""

import hashlib
import os
from pathlib import Path

# What most file systems allow; what a name may gain later, such as "-12".
_USUAL, _ROOM = 255, 15


def fitting(folder: Path, stem: str, suffix: str = "") -> str:
    """Return a name for a file, shortened where it is too long.

    A shortened name ends in a digest of the whole one, so that two names which begin alike stay two.

    Args:
        folder: Where the file is to lie; need not exist.
        stem: The name as it is wanted, without suffix.
        suffix: How it ends.
    """
    most = _longest_name(folder) - _ROOM
    if len(os.fsencode(stem + suffix)) <= most:
        return stem + suffix
    mark = f"-{_digest(stem)}{suffix}"
    kept = os.fsencode(stem)[: max(0, most - len(os.fsencode(mark)))]
    # The cut may go through a letter.
    return kept.decode(errors="ignore") + mark


def unfinished(path: Path) -> Path:
    """Return the hidden name, beside a file, that it has until it is whole."""
    name = f".{path.name}.partial"
    if len(os.fsencode(name)) > _longest_name(path.parent):
        name = f".{_digest(path.name)}.partial"
    return path.with_name(name)


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:8]


def _longest_name(folder: Path) -> int:
    """Return how many bytes a name in a folder may have; some encrypted folders allow fewer than usual."""
    if hasattr(os, "pathconf"):
        for place in (folder, *folder.parents):
            try:
                return min(_USUAL, os.pathconf(place, "PC_NAME_MAX"))
            except (OSError, ValueError):
                continue
    return _USUAL
