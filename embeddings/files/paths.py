"""Describe what is at a path in the words of an error message, and check that it can be written to."""

import errno
import os
import stat
from pathlib import Path

FILE, FOLDER = "a file", "a folder"

_KINDS = (
    (stat.S_ISREG, FILE),
    (stat.S_ISDIR, FOLDER),
    (stat.S_ISFIFO, "a pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_ERRORS = {
    errno.ENOENT: "no such path",
    errno.ENOTDIR: "no such path",
    errno.ELOOP: "a link that leads back to itself",
    errno.ENAMETOOLONG: "a name that is too long",
    errno.EACCES: "a path that this user may not read",
    errno.EPERM: "a path that this user may not read",
}


def describe_path(path: str | Path) -> str:
    """Describe what is at a path: `FILE`, `FOLDER`, or words for an error message.

    Args:
        path: The path, as the user gave it.
    """
    if not str(path):
        return "an empty name"
    try:
        mode = os.stat(path).st_mode
    except OSError as error:
        if error.errno == errno.ENOENT and os.path.islink(path):
            return "a link to a path that does not exist"
        return _ERRORS.get(error.errno or 0, f"a path that cannot be read ({error.strerror})")
    except ValueError:
        return "a name with a null character"
    kind = next((words for is_kind, words in _KINDS if is_kind(mode)), "something else")
    needed = os.R_OK | os.X_OK if kind == FOLDER else os.R_OK
    return f"{kind} that this user may not read" if kind in (FILE, FOLDER) and not os.access(path, needed) else kind


def require_folder_at(path: Path) -> None:
    """Check, before long work, that a folder can be written to or created.

    Raises:
        ValueError: It cannot.
    """
    nearest = next(one for one in (path, *path.absolute().parents) if os.path.lexists(one))
    found = describe_path(nearest)
    if found != FOLDER:
        raise ValueError(f"{nearest}: expected a folder to write to, got {found}; name another")
    if not os.access(nearest, os.W_OK):
        raise ValueError(f"{nearest}: expected a folder to write to, got a read-only one; name another")


def require_file_at(path: Path) -> None:
    """Check, before long work, that a file can be written.

    Devices, pipes and sockets are refused, because the finished file is moved to the path and would replace them.

    Raises:
        ValueError: It cannot.
    """
    if os.path.exists(path) and (found := describe_path(path)) != FILE:
        raise ValueError(f"{path}: expected a file to write, got {found}; name another")
    require_folder_at(path.absolute().parent)
