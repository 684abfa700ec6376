"""Write the files of a bundle or gallery to a folder atomically.

Replacing `manifest.json` is the commit point: if a writer is stopped at any moment, the folder holds the old state or
the new one. There is one writer at a time; others wait. Files of the first state have plain names, later ones have the
digest in their name, so that no file ever changes. Readers take no lock: `lock.read_stored` reads again if a writer
replaced the state meanwhile.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import logging
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from moodspace.errors import MoodspaceError
from moodspace.index.store.lock import locked
from moodspace.index.store.manifest import (
    MANIFEST,
    Manifest,
    StorageError,
    StoredFile,
    is_valid_name,
    manifest_text,
    parse_manifest,
    read_manifest,
    storage_error,
)

__all__ = ["GalleryError", "Manifest", "StorageError", "StoredFile", "Writer", "commit", "read_manifest"]

_STAGING = ".tmp-"
_WINDOWS = os.name == "nt"
# The minimum number of digest digits in a file name.
_DIGITS = 8

Writer = Callable[[Path], None]
_log = logging.getLogger(__name__)


class GalleryError(MoodspaceError):
    """A gallery that is inconsistent in itself, with its manifest or with the encoder in use."""

    exit_code = 3


def commit(
    folder: Path,
    files: Mapping[str, Writer],
    meta: Mapping[str, Any],
    *,
    format: str,
    version: int,
    keep: Iterable[str] = (),
) -> Manifest:
    """Replace a folder's state in one step; a crash leaves the old state or the new one.

    Args:
        folder: The folder, created if missing. Files that no manifest named are not touched.
        files: For each logical name (letters, digits, `_`, `-`, `.`) a function that writes the file to the path it is
            given and raises on failure.
        meta: Plain JSON values to store in the manifest.
        format: What the folder is, such as "moodspace-gallery".
        version: The format's version, from 1.
        keep: Logical names of the present state to keep unless `files` replaces them; all others are removed.

    Returns:
        The new state.

    Raises:
        StorageError: The folder holds something else or a newer version, a name is invalid, `keep` names a missing
            file, `meta` is not JSON, or writing failed (full, read-only). On failure before the commit point, also in a
            writer function, the old state stays and partial files are removed; the function's error propagates.
    """
    for name in files:
        if not is_valid_name(name):
            raise storage_error(folder, "file names of letters, digits, '_', '-', '.'", repr(name), "rename it")
    # Checked before locking, because the lock creates a file and a foreign folder must not change.
    _files_to_keep(folder, _current_manifest(folder, format, version), set(keep))
    try:
        _make_folder(folder)
        with locked(folder):
            current = _current_manifest(folder, format, version)
            kept = _files_to_keep(folder, current, set(keep))
            with tempfile.TemporaryDirectory(prefix=_STAGING, dir=folder, ignore_cleanup_errors=True) as name:
                fresh = _stage(Path(name), files, current)
                manifest = Manifest(folder, format, version, meta, kept | fresh)
                _publish(Path(name), manifest, fresh)
            _remove_stale(manifest, current)
    except OSError as error:
        raise storage_error(
            folder, "to write into this folder", str(error), "free some space or choose another"
        ) from error
    return manifest


def _current_manifest(folder: Path, format: str, version: int) -> Manifest | None:
    return parse_manifest(folder, format, version) if os.path.lexists(folder / MANIFEST) else None


def _files_to_keep(folder: Path, current: Manifest | None, names: set[str]) -> dict[str, StoredFile]:
    present = current.files if current else {}
    if missing := sorted(names - set(present)):
        got = ", ".join(present) or "no file"
        raise storage_error(folder, f"to keep {', '.join(missing)}", got, "write it instead")
    return {name: present[name] for name in present if name in names}


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)  # another writer may be faster
        _flush(folder.parent)


def _stage(staging: Path, files: Mapping[str, Writer], current: Manifest | None) -> dict[str, StoredFile]:
    """Write and flush the files, and give each a name that the current state does not use."""
    used = {entry.path.casefold() for entry in current.files.values()} if current else set()
    staged = {}
    for name, write in files.items():
        write(staging / name)
        digest, size = _flushed_digest(staging / name)
        choices = _file_names(name, digest, plain=current is None)
        path = next(choice for choice in choices if choice.casefold() not in used)
        used.add(path.casefold())
        staged[name] = StoredFile(path, size, digest)
    return staged


def _file_names(name: str, digest: str, *, plain: bool) -> Iterator[str]:
    """Yield the possible names of a file, preferred first; `plain` allows the name without a digest."""
    if plain:
        yield name
    stem, dot, suffix = name.partition(".")  # at the first dot, because Keras requires all of ".weights.h5"
    for length in range(_DIGITS, len(digest) + 1):
        yield f"{stem}-{digest[:length]}{dot}{suffix}"


def _publish(staging: Path, manifest: Manifest, fresh: Mapping[str, StoredFile]) -> None:
    (staging / MANIFEST).write_text(manifest_text(manifest), encoding="utf-8")
    _flush(staging / MANIFEST)
    try:
        for name, entry in fresh.items():
            os.replace(staging / name, manifest.folder / entry.path)
        _flush(manifest.folder)
        os.replace(staging / MANIFEST, manifest.folder / MANIFEST)
    except BaseException:
        # If an interrupt arrives just after the commit point, the new files are in use and must stay.
        if (staging / MANIFEST).exists():
            for entry in fresh.values():
                with contextlib.suppress(OSError):
                    (manifest.folder / entry.path).unlink()
        raise
    _flush(manifest.folder)


def _flushed_digest(path: Path) -> tuple[str, int]:
    """Flush a file to the disk and returns its SHA-256 and its size in bytes."""
    _flush(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size


def _flush(path: Path) -> None:
    """Flush a file, or the renames inside a folder, to disk as far as the system supports it."""
    if _WINDOWS and path.is_dir():  # Windows cannot open a folder
        return
    # Windows flushes only files open for writing; elsewhere the file may be read-only.
    handle = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot flush a folder
            raise
    finally:
        os.close(handle)


def _remove_stale(manifest: Manifest, old: Manifest | None) -> None:
    """Remove replaced files and leftovers of interrupted writers; a failure only wastes disk space."""
    for path in _stale(manifest, old):
        try:
            if path.name.startswith(_STAGING):
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            _log.warning("%s: expected to remove this replaced file, got %s; delete it later", path, error)


def _stale(manifest: Manifest, old: Manifest | None) -> list[Path]:
    """List replaced files and leftovers, which after a crash can be recognized only by their names."""
    replaced = old.files if old else {}
    used = {entry.path.casefold() for entry in manifest.files.values()}
    known = [re.escape(_STAGING) + ".*", *(re.escape(entry.path) for entry in replaced.values())]
    for stem, dot, suffix in (name.partition(".") for name in {*manifest.files, *replaced}):
        known.append(f"{re.escape(stem)}(-[0-9a-f]{{8,64}})?{re.escape(dot + suffix)}")
    pattern = re.compile("|".join(known), re.IGNORECASE)
    found = (path for path in manifest.folder.iterdir() if pattern.fullmatch(path.name))
    return [path for path in found if path.name.casefold() not in used]
