"""Plan what to change in the user's gallery so that it holds exactly the pictures of a folder.

Planning decodes no picture. A file with the same size and time counts as unchanged; if only the time differs, its
SHA-256 decides. Only files of equal size can be duplicates, so few files are read.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from moodspace.embeddings.data.labelled import DataError, Skipped
from moodspace.embeddings.data.labels import ClassNameError, canonical, check_name
from moodspace.embeddings.data.layout import (
    class_folders,
    innermost,
    is_visible,
    nested_tables,
    numbered_folders_message,
    other_csv,
    tables,
)
from moodspace.embeddings.files.paths import describe_path

# The status of a file.
FACES, NONE, FAILED, DUPLICATE = "faces", "none", "failed", "duplicate"

# The reason of a file whose face the user removed.
FORGOTTEN = "its face was forgotten on request"


@dataclass(frozen=True, slots=True)
class FileState:
    """The state of a file, now or when it was last read.

    Attributes:
        path: The absolute path.
        size: The size in bytes.
        mtime_ns: The time of the last change, nanoseconds since 1970.
        sha256: The SHA-256 of its content, 64 hexadecimal digits; empty if it was not needed.
        status: `FACES` if the gallery has its face, `NONE` if it shows no face, `FAILED` if it cannot be read,
            `DUPLICATE` if another file has the same content; empty if it was not read yet.
        reason: Why the gallery has no face of it, in words; empty if it has one.
    """

    path: str
    size: int
    mtime_ns: int
    sha256: str = ""
    status: str = ""
    reason: str = ""

    @property
    def label(self) -> str:
        """The class: the name of the file's folder, in canonical form."""
        return canonical(Path(self.path).parent.name)


class Duplicate(NamedTuple):
    """A file with the same content as another.

    Attributes:
        file: The file.
        of: The path of the other file, whose face is in the gallery or will be added.
    """

    file: FileState
    of: str


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """The changes that bring the gallery in line with a folder.

    Attributes:
        root: The folder.
        new: Files without a face in the gallery: unknown ones, changed ones that failed before, and duplicates whose
            original is gone.
        changed: Files whose content changed since their face was added.
        removed: Paths of deleted files.
        touched: Files with the same content and another time.
        unchanged: How many files did not change and have their face in the gallery.
        forgotten: How many files did not change since the user removed their face.
        stay: Files with the same content and class as one whose face the user removed; they stay out, too.
        duplicate: Files with the same content as another.
        failed: Unchanged files that gave no face before, and entries that are not files.
    """

    root: Path
    new: tuple[FileState, ...]
    changed: tuple[FileState, ...]
    removed: tuple[str, ...]
    touched: tuple[FileState, ...]
    unchanged: int
    forgotten: int
    stay: tuple[FileState, ...]
    duplicate: tuple[Duplicate, ...]
    failed: tuple[Skipped, ...]

    @property
    def to_embed(self) -> tuple[FileState, ...]:
        """The files that must be read."""
        return self.new + self.changed


def plan_sync(
    root: Path, known: Mapping[str, FileState], elsewhere: Iterable[FileState] = (), *, again: bool = False
) -> SyncPlan:
    """Compare a folder with what the gallery holds of it.

    Args:
        root: The folder, absolute, with class folders; see `embeddings.data.layout`.
        known: The recorded state of the folder's files, by path.
        elsewhere: Files of other folders that have a face in the gallery or whose face the user removed.
        again: Whether to read every file again, changed or not.

    Raises:
        DataError: `root` is not a folder or has no class folders.
    """
    elsewhere = list(elsewhere)
    found, failed = scan(root)
    # Files whose face the user removed are not read again: that would add it again.
    read_again = {path for path, state in known.items() if again and state.reason != FORGOTTEN}
    compared = [(file, None if file.path in read_again else _unchanged(file, known.get(file.path))) for file in found]
    same = [state for _, state in compared if state is not None]
    held = [state for state in (*elsewhere, *same) if state.status == FACES]
    # Duplicates are checked again, because their original may be gone.
    pending = [file for file, state in compared if state is None] + [s for s in same if s.status == DUPLICATE]
    gone = {(s.sha256, s.label) for s in (*known.values(), *elsewhere) if s.reason == FORGOTTEN and s.sha256}
    sizes = {s.size for s in (*known.values(), *elsewhere) if s.reason == FORGOTTEN}
    pending = [replace(s, sha256=s.sha256 or _sha256(s.path)) if s.size in sizes else s for s in pending]
    fresh, duplicate = _split_duplicates(pending, held)
    stay = [file for file in fresh if (file.sha256, file.label) in gone]
    fresh = [file for file in fresh if (file.sha256, file.label) not in gone]
    faces = {path for path, state in known.items() if state.status == FACES}
    forgotten = {state.path for state in same if state.reason == FORGOTTEN}
    no_face = [s for s in same if s.status in (NONE, FAILED) and s.path not in forgotten]
    return SyncPlan(
        root=root,
        new=tuple(file for file in fresh if file.path not in faces),
        changed=tuple(file for file in fresh if file.path in faces),
        removed=tuple(sorted(known.keys() - {file.path for file in found})),
        touched=tuple(state for state in same if state.mtime_ns != known[state.path].mtime_ns),
        unchanged=sum(state.status == FACES for state in same),
        forgotten=len(forgotten),
        stay=tuple(replace(file, status=NONE, reason=FORGOTTEN) for file in stay),
        duplicate=tuple(duplicate),
        failed=tuple(failed + [Skipped(state.path, state.reason) for state in no_face]),
    )


def scan(root: Path) -> tuple[list[FileState], list[Skipped]]:
    """List the files in the class folders of `root`, in a fixed order, and the entries that cannot be used.

    Raises:
        DataError: `root` is not a folder or has no class folders.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder with a folder for each class, got {describe_path(root)}")
    inner = innermost(root)
    folders = class_folders(inner)
    if found := nested_tables(inner) or (not folders and (tables(inner) or other_csv(inner))):
        named = ", ".join(file.name for file in found[:3])
        raise DataError(f"{root}: expected pictures in folders named after classes, got a table, {named}")
    if not folders:
        raise DataError(f"{root}: expected folders named after classes, got none; sort the pictures into such folders")
    if all(folder.path.name.isdecimal() for folder in folders):
        raise DataError(numbered_folders_message(root, folders))
    files: list[FileState] = []
    others: list[Skipped] = []
    for folder in folders:
        if (named := _as_text(str(folder.path))) != str(folder.path):
            others.append(Skipped(named, "expected a class name in UTF-8, got other bytes; rename it"))
            continue
        try:
            check_name(folder.path.name)
        except ClassNameError as error:
            others.append(Skipped(ascii(named)[1:-1], f"{str(error).rpartition('; ')[0]}; rename the folder"))
            continue
        with os.scandir(folder.path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if is_visible(entry.name):
                    _classify(entry, files, others)
    return files, others


def _classify(entry: os.DirEntry[str], files: list[FileState], others: list[Skipped]) -> None:
    if (named := _as_text(entry.path)) != entry.path:
        others.append(Skipped(named, "expected a file name in UTF-8, got other bytes; rename it"))
        return
    try:
        if entry.is_file():
            stat = entry.stat()
            files.append(FileState(entry.path, stat.st_size, stat.st_mtime_ns))
        elif entry.is_dir():
            others.append(Skipped(entry.path, "expected a picture, got a folder; put pictures into class folders"))
        else:
            others.append(Skipped(entry.path, "expected a picture, got a broken link or a device"))
    except OSError as error:
        others.append(Skipped(entry.path, f"expected a picture, got: {error.strerror}"))


def _as_text(path: str) -> str:
    """Return a path as printable text, with escapes where it is not valid UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _unchanged(file: FileState, before: FileState | None) -> FileState | None:
    """Return the recorded state with the present time if the content did not change, else None."""
    if before is None or file.size != before.size:
        return None
    if file.mtime_ns == before.mtime_ns or (before.sha256 and before.sha256 == _sha256(file.path)):
        return replace(before, mtime_ns=file.mtime_ns)
    return None


def _split_duplicates(
    pending: Iterable[FileState], held: Iterable[FileState]
) -> tuple[list[FileState], list[Duplicate]]:
    """Split files into those with new content and duplicates of others."""
    pending, held = list(pending), list(held)
    sizes = Counter(file.size for file in (*pending, *held))
    holders = {file.sha256: file.path for file in held if file.sha256}
    fresh, duplicate = [], []
    for one in pending:
        file = replace(one, sha256=one.sha256 or _sha256(one.path)) if sizes[one.size] > 1 else one
        if file.sha256 and holders.setdefault(file.sha256, file.path) != file.path:
            duplicate.append(Duplicate(file, holders[file.sha256]))
        else:
            fresh.append(replace(file, status="", reason=""))
    return fresh, duplicate


def _sha256(path: str) -> str:
    """Return the SHA-256 of a file; empty if it cannot be read, which is reported when its face is read."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
