"""Make names of new files that fit the file system, and write files whole or not at all."""

import contextlib
import hashlib
import os
import secrets
from collections.abc import Callable
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


def write_whole(path: Path, write: Callable[[Path], object]) -> None:
    """Write a file whole or not at all: a kill or a full disk leaves the old file.

    Args:
        path: The file; may exist.
        write: Writes to the path that it is given, which has the suffix of `path`.

    Raises:
        OSError: The file cannot be written. The old file stays, and no part of the new one.
    """
    # A random name, because another program may be writing the same file.
    aside = path.with_name(f".{secrets.token_hex(8)}.partial{path.suffix}")
    try:
        write(aside)
        os.replace(aside, path)
    except OSError as error:
        if error.errno is None or error.filename not in (None, str(aside), aside):
            raise
        # Nobody knows the other name.
        raise OSError(error.errno, error.strerror or os.strerror(error.errno), str(path)) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def rename_new(source: Path, path: Path) -> None:
    """Give a file another name in the same folder, which no file may have.

    Raises:
        FileExistsError: A file has the name; nothing has changed.
        OSError: The file cannot be renamed.
    """
    if os.name != "nt":  # where renaming replaces a file
        try:
            os.link(source, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without links
            if path.exists():
                raise FileExistsError(str(path)) from None
        else:
            source.unlink()
            return
    source.rename(path)


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
