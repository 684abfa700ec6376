"""Make names of new files that fit the file system."""

import hashlib
import os
from pathlib import Path

# Bytes that most file systems allow; bytes reserved for later additions such as "-12".
_USUAL, _RESERVED = 255, 15


def shortened_name(folder: Path, stem: str, suffix: str = "") -> str:
    """Return a file name, shortened if it is too long.

    A shortened name ends in a digest of the whole name, so that long names with the same start stay different.

    Args:
        folder: The folder of the file; need not exist.
        stem: The wanted name, without suffix.
        suffix: The suffix.
    """
    most = _longest_name(folder) - _RESERVED
    if len(os.fsencode(stem + suffix)) <= most:
        return stem + suffix
    mark = f"-{_digest(stem)}{suffix}"
    kept = os.fsencode(stem)[: max(0, most - len(os.fsencode(mark)))]
    # The cut may split a character.
    return kept.decode(errors="ignore") + mark


def partial_path(path: Path) -> Path:
    """Return the hidden path, in the same folder, that a file is written to before it is complete."""
    name = f".{path.name}.partial"
    if len(os.fsencode(name)) > _longest_name(path.parent):
        name = f".{_digest(path.name)}.partial"
    return path.with_name(name)


def _digest(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:8]


def _longest_name(folder: Path) -> int:
    """Return the maximum number of bytes of a name in a folder; some encrypted folders allow fewer than usual."""
    if hasattr(os, "pathconf"):
        for place in (folder, *folder.parents):
            try:
                return min(_USUAL, os.pathconf(place, "PC_NAME_MAX"))
            except (OSError, ValueError):
                continue
    return _USUAL
