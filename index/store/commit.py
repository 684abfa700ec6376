"""How bundles and galleries reach the disk: a folder of artifacts, committed whole or not at all.

Replacing `manifest.json` is the single commit point: whatever stops a writer, the folder holds the old state
or the new one. One writer at a time; others wait. The first state's files have plain names, those of each later one
carry the digest, so that no file ever changes. Readers take no lock: `index.folder_lock.read_stored` reads again when
a writer replaced the state meanwhile.
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
    acceptable_name,
    manifest_text,
    parse_manifest,
    read_manifest,
    refusal,
)

__all__ = ["GalleryError", "Manifest", "StorageError", "StoredFile", "Writer", "commit", "read_manifest"]

_STAGING = ".tmp-"
_WINDOWS = os.name == "nt"
# How many digits of the digest a file name carries at least.
_DIGITS = 8

Writer = Callable[[Path], None]
_log = logging.getLogger(__name__)


class GalleryError(MoodspaceError):
    """A gallery whose parts do not agree with each other, with its manifest or with the encoder in use."""

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
    """Replaces a folder's state in one step; a crash at any instant leaves the old state or the new one.

    Args:
        folder: The folder, made when missing. Files that no manifest named are left alone.
        files: For each logical name (letters, digits, `_`, `-`, `.`) a function that writes the artifact to the path it
            is given, a file of exactly that name, and reports failure by raising.
        meta: Plain JSON values to remember.
        format: What the folder is, such as "moodspace-gallery".
        version: The format's version, from 1.
        keep: Logical names of the present state that stay as they are unless `files` replaces them; others are dropped.

    Returns:
        The new state.

    Raises:
        StorageError: The folder holds something else or something newer, a name is not acceptable, `keep` names what is
            not there, `meta` is not JSON, or the disk refused (full, read-only). Up to the commit point the old state
            stays and what was half written is removed, also when a writer raises an error of its own, which passes.
    """
    for name in files:
        if not acceptable_name(name):
            raise refusal(folder, "artifact names of letters, digits, '_', '-', '.'", repr(name), "rename it")
    # Once before the lock, which leaves a file: a folder that holds something else stays as it is.
    _kept(folder, _current(folder, format, version), set(keep))
    try:
        _make_folder(folder)
        with locked(folder):
            current = _current(folder, format, version)
            kept = _kept(folder, current, set(keep))
            with tempfile.TemporaryDirectory(prefix=_STAGING, dir=folder, ignore_cleanup_errors=True) as name:
                fresh = _stage(Path(name), files, current)
                manifest = Manifest(folder, format, version, meta, kept | fresh)
                _publish(Path(name), manifest, fresh)
            _remove_stale(manifest, current)
    except OSError as error:
        raise refusal(folder, "to write into this folder", str(error), "free some space or choose another") from error
    return manifest


def _current(folder: Path, format: str, version: int) -> Manifest | None:
    return parse_manifest(folder, format, version) if os.path.lexists(folder / MANIFEST) else None


def _kept(folder: Path, current: Manifest | None, names: set[str]) -> dict[str, StoredFile]:
    present = current.files if current else {}
    if missing := sorted(names - set(present)):
        raise refusal(folder, f"to keep {', '.join(missing)}", ", ".join(present) or "no artifact", "write it instead")
    return {name: present[name] for name in present if name in names}


def _make_folder(folder: Path) -> None:
    if not folder.exists():
        folder.mkdir(parents=True, exist_ok=True)  # another writer may be faster
        _flush(folder.parent)


def _stage(staging: Path, files: Mapping[str, Writer], current: Manifest | None) -> dict[str, StoredFile]:
    """Writes and flushes the artifacts and gives each a file name that the current state does not use."""
    used = {entry.path.casefold() for entry in current.files.values()} if current else set()
    staged = {}
    for name, write in files.items():
        write(staging / name)
        digest, size = _sealed(staging / name)
        choices = _file_names(name, digest, plain=current is None)
        path = next(choice for choice in choices if choice.casefold() not in used)
        used.add(path.casefold())
        staged[name] = StoredFile(path, size, digest)
    return staged


def _file_names(name: str, digest: str, *, plain: bool) -> Iterator[str]:
    """Yields the names an artifact may take, best first; `plain` tells whether one may do without the digest."""
    if plain:
        yield name
    stem, dot, suffix = name.partition(".")  # at the first dot: Keras insists on all of ".weights.h5"
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
        # An interrupt may arrive just after the commit point: then the new files are in use and must stay.
        if (staging / MANIFEST).exists():
            for entry in fresh.values():
                with contextlib.suppress(OSError):
                    (manifest.folder / entry.path).unlink()
        raise
    _flush(manifest.folder)


def _sealed(path: Path) -> tuple[str, int]:
    """Flushes a file to the disk and returns its SHA-256 and its size in bytes."""
    _flush(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest(), os.fstat(file.fileno()).st_size


def _flush(path: Path) -> None:
    """Makes the content of a file, or the renames inside a folder, durable as far as the system knows how to."""
    if _WINDOWS and path.is_dir():  # Windows cannot open a folder
        return
    # Windows flushes only what is open for writing; elsewhere an artifact copied from a read-only file is welcome.
    handle = os.open(path, os.O_RDWR if _WINDOWS else os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems cannot flush a folder
            raise
    finally:
        os.close(handle)


def _remove_stale(manifest: Manifest, old: Manifest | None) -> None:
    """Removes replaced files and what interrupted writers left; failing here costs only disk space."""
    for path in _stale(manifest, old):
        try:
            if path.name.startswith(_STAGING):
                shutil.rmtree(path)
            else:
                path.unlink()
        except OSError as error:
            _log.warning("%s: expected to remove this replaced file, got %s; delete it when it is free", path, error)


def _stale(manifest: Manifest, old: Manifest | None) -> list[Path]:
    """Lists leftovers: a crash after the commit point leaves files that only their names still tie to an artifact."""
    replaced = old.files if old else {}
    used = {entry.path.casefold() for entry in manifest.files.values()}
    known = [re.escape(_STAGING) + ".*", *(re.escape(entry.path) for entry in replaced.values())]
    for stem, dot, suffix in (name.partition(".") for name in {*manifest.files, *replaced}):
        known.append(f"{re.escape(stem)}(-[0-9a-f]{{8,64}})?{re.escape(dot + suffix)}")
    pattern = re.compile("|".join(known), re.IGNORECASE)
    found = (path for path in manifest.folder.iterdir() if pattern.fullmatch(path.name))
    return [path for path in found if path.name.casefold() not in used]
