"""What has to happen to the user's gallery so that it holds the pictures of a folder, no more and no less.

A plan decodes no picture. A file is unchanged where its size and time are, and where only the time is not, its content
is compared. Two files can hold the same only where they have the same size, so that few are read at all.
"""

import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from moodspace.embeddings.data.labelled import DataError, Skipped
from moodspace.embeddings.data.labels import ClassNameError, canonical, checked
from moodspace.embeddings.data.layout import (
    class_folders,
    innermost,
    is_visible,
    nested_tables,
    other_csv,
    refusal_of_numbers,
    tables,
)
from moodspace.embeddings.files.paths import what_is

# What became of a file.
FACES, NONE, FAILED, DUPLICATE = "faces", "none", "failed", "duplicate"

# Why a file has no face in the gallery though it shows one.
FORGOTTEN = "its face was forgotten on request"


@dataclass(frozen=True, slots=True)
class FileState:
    """A file as it is, or as it was when it was last looked at.

    Attributes:
        path: Where it is, absolute.
        size: In bytes.
        mtime_ns: When it was last written, nanoseconds since 1970.
        sha256: Of its content, 64 hexadecimal digits; empty where nothing needed it.
        status: `FACES` where the gallery has its face, `NONE` where it shows none, `FAILED` where it cannot be read,
            `DUPLICATE` where another file with the same content stands for it; empty where nobody looked yet.
        reason: Why the gallery has no face of it, for people to read; empty where it has one.
    """

    path: str
    size: int
    mtime_ns: int
    sha256: str = ""
    status: str = ""
    reason: str = ""

    @property
    def label(self) -> str:
        """The class that the file's folder names, canonical."""
        return canonical(Path(self.path).parent.name)


class Duplicate(NamedTuple):
    """A file that holds the same as another.

    Attributes:
        file: Which one.
        of: The path of the one whose face is, or is to be, in the gallery.
    """

    file: FileState
    of: str


@dataclass(frozen=True, slots=True)
class SyncPlan:
    """What a folder asks of the gallery.

    Attributes:
        root: The folder.
        new: Files that the gallery has no face of: unknown, changed since they failed, or standing back for one gone.
        changed: Files that hold something else than the face that the gallery has of them.
        removed: Paths of files that are gone.
        touched: Files that hold what they held, under another time.
        unchanged: How many files are as they were, with their face in the gallery.
        forgotten: How many files are as they were when their face was forgotten.
        stay: Files that hold, under the same class, what was forgotten as another file; they stay out too.
        duplicate: Files that hold the same as another.
        failed: Files that were looked at before and gave no face, and what is no file at all.
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
    """Compares a folder with what the gallery knows of it.

    Args:
        root: The folder, absolute, in a layout of `embeddings.layout`.
        known: The folder's files as the gallery knows them, by path.
        elsewhere: The files of other folders that have a face in the gallery, or whose face was forgotten.
        again: Look at every file anew, changed or not.

    Raises:
        DataError: `root` is no folder, or has no class folders.
    """
    elsewhere = list(elsewhere)
    found, failed = scan(root)
    # What was forgotten is not looked at anew: that would teach it again.
    anew = {path for path, state in known.items() if again and state.reason != FORGOTTEN}
    compared = [(file, None if file.path in anew else _unchanged(file, known.get(file.path))) for file in found]
    same = [state for _, state in compared if state is not None]
    held = [state for state in (*elsewhere, *same) if state.status == FACES]
    # A file that stood back for another has to be judged anew: the other may be gone.
    pending = [file for file, state in compared if state is None] + [s for s in same if s.status == DUPLICATE]
    gone = {(s.sha256, s.label) for s in (*known.values(), *elsewhere) if s.reason == FORGOTTEN and s.sha256}
    sizes = {s.size for s in (*known.values(), *elsewhere) if s.reason == FORGOTTEN}
    pending = [replace(s, sha256=s.sha256 or _sha256(s.path)) if s.size in sizes else s for s in pending]
    fresh, duplicate = _tell_duplicates(pending, held)
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
    """Lists the files in the class folders of `root`, in a fixed order, and what else stands there.

    Raises:
        DataError: `root` is no folder, or has no class folders.
    """
    if not root.is_dir():
        raise DataError(f"{root}: expected a folder with a folder for each class, received {what_is(root)}")
    inner = innermost(root)
    folders = class_folders(inner)
    if found := nested_tables(inner) or (not folders and (tables(inner) or other_csv(inner))):
        named = ", ".join(file.name for file in found[:3])
        raise DataError(f"{root}: expected pictures in folders named for classes, received a table, {named}")
    if not folders:
        raise DataError(f"{root}: expected folders named for classes, received none; put the pictures into such")
    if all(folder.path.name.isdecimal() for folder in folders):
        raise DataError(refusal_of_numbers(root, folders))
    files: list[FileState] = []
    others: list[Skipped] = []
    for folder in folders:
        if (named := _as_text(str(folder.path))) != str(folder.path):
            others.append(Skipped(named, "expected a class name that is text, received bytes that are none; rename it"))
            continue
        try:
            checked(folder.path.name)
        except ClassNameError as error:
            others.append(Skipped(ascii(named)[1:-1], f"{str(error).rpartition('; ')[0]}; rename the folder"))
            continue
        with os.scandir(folder.path) as entries:
            for entry in sorted(entries, key=lambda entry: entry.name):
                if is_visible(entry.name):
                    _look(entry, files, others)
    return files, others


def _look(entry: os.DirEntry[str], files: list[FileState], others: list[Skipped]) -> None:
    if (named := _as_text(entry.path)) != entry.path:
        others.append(Skipped(named, "expected a name that is text, received bytes that are none; rename it"))
        return
    try:
        if entry.is_file():
            stat = entry.stat()
            files.append(FileState(entry.path, stat.st_size, stat.st_mtime_ns))
        elif entry.is_dir():
            others.append(Skipped(entry.path, "expected a picture, received a folder; pictures stand in class folders"))
        else:
            others.append(Skipped(entry.path, "expected a picture, received a broken link or a device"))
    except OSError as error:
        others.append(Skipped(entry.path, f"expected a picture, received: {error.strerror}"))


def _as_text(path: str) -> str:
    """Returns a path as text that can be kept and printed; itself, unless its name is no text in UTF-8."""
    return os.fsencode(path).decode(errors="backslashreplace")


def _unchanged(file: FileState, before: FileState | None) -> FileState | None:
    """Returns what is known of a file if it holds what it held, at its present time; None if it does not."""
    if before is None or file.size != before.size:
        return None
    if file.mtime_ns == before.mtime_ns or (before.sha256 and before.sha256 == _sha256(file.path)):
        return replace(before, mtime_ns=file.mtime_ns)
    return None


def _tell_duplicates(
    pending: Iterable[FileState], held: Iterable[FileState]
) -> tuple[list[FileState], list[Duplicate]]:
    """Parts the files that are the first to hold something from those that hold the same as another."""
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
    """Returns the hash of a file's content; empty where it cannot be read, which reading it for its face will tell."""
    try:
        with open(path, "rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""
