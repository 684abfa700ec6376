"""The manifest of a stored folder: the files of its committed state, with sizes and digests to verify them.

`manifest.json` holds `format`, `version`, `meta` and `files: {logical name: {path, bytes, sha256}}`.
"""

from __future__ import annotations

import hashlib
import json
import re
import reprlib
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from moodspace.errors import MoodspaceError

MANIFEST = "manifest.json"
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_SHA256 = re.compile(r"[0-9a-f]{64}")
_REBUILD = "restore the folder from a copy or build it again"


class StorageError(MoodspaceError):
    """A folder that cannot be read, trusted or written."""

    exit_code = 3


@dataclass(frozen=True, slots=True)
class StoredFile:
    """One file of a manifest.

    Attributes:
        path: Its name inside the folder: the logical name, or that name with a short digest.
        bytes: Its size in bytes.
        sha256: The SHA-256 of its content, 64 lower-case hexadecimal digits.
    """

    path: str
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The committed state of a folder.

    Attributes:
        folder: The folder.
        format: What the folder is, such as "moodspace-gallery".
        version: The format's version, counted from 1.
        meta: The writer's own plain JSON values.
        files: The files by logical name.
    """

    folder: Path
    format: str
    version: int
    meta: Mapping[str, Any]
    files: Mapping[str, StoredFile]

    def path(self, name: str) -> Path:
        """Return the path of the file with the logical name `name`.

        Raises:
            StorageError: The manifest names no such file.
        """
        if name not in self.files:
            raise storage_error(self.folder, f"a file {name!r}", ", ".join(self.files) or "no file", _REBUILD)
        return self.folder / self.files[name].path


def read_manifest(folder: Path, *, format: str, version: int) -> Manifest:
    """Read a folder's manifest and verify the size and SHA-256 of every file.

    Args:
        folder: The folder to read.
        format: The format the caller understands.
        version: The newest version of the format that the caller understands.

    Raises:
        StorageError: There is no manifest, it has another format or a newer version, or a file is missing or damaged.
    """
    manifest = parse_manifest(folder, format, version)
    for entry in manifest.files.values():
        _verify(folder / entry.path, entry)
    return manifest


def parse_manifest(folder: Path, format: str, version: int) -> Manifest:
    """Read a manifest without verifying the files; see `read_manifest` for arguments and errors."""
    wanted = f"a {format} folder with a {MANIFEST}"
    try:
        document = json.loads((folder / MANIFEST).read_bytes())
    except FileNotFoundError:
        raise storage_error(folder, wanted, "none", "check the path") from None
    except OSError as error:
        raise storage_error(
            folder, wanted, error.strerror or str(error), "check the path and its permissions"
        ) from error
    except (ValueError, RecursionError) as error:
        raise storage_error(folder, f"a {MANIFEST} of JSON", "damaged text", _REBUILD) from error
    if not isinstance(document, dict) or document.get("format") != format:
        found = document.get("format") if isinstance(document, dict) else document
        raise storage_error(folder, f"format {format!r}", reprlib.repr(found), "choose another folder")
    found = document.get("version")
    if type(found) is not int or not 1 <= found <= version:
        raise storage_error(folder, f"{format} version {version} or older", reprlib.repr(found), "update this program")
    meta, files = document.get("meta"), document.get("files")
    if not isinstance(meta, dict) or not isinstance(files, dict):
        raise storage_error(folder, f"'meta' and 'files' in {MANIFEST}", reprlib.repr(sorted(document)), _REBUILD)
    return Manifest(folder, format, found, meta, {name: _entry(folder, name, files[name]) for name in files})


def manifest_text(manifest: Manifest) -> str:
    """Return the text of `manifest.json`; the inverse of `parse_manifest`.

    Raises:
        StorageError: `meta` is not plain JSON.
    """
    record = {name: getattr(manifest, name) for name in ("format", "version", "meta")}
    record["files"] = {name: asdict(entry) for name, entry in manifest.files.items()}
    try:
        return json.dumps(record, indent=1, allow_nan=False) + "\n"
    except (TypeError, ValueError) as error:
        raise storage_error(manifest.folder, "meta of plain JSON values", str(error), "convert it first") from error


def is_valid_name(name: object) -> bool:
    """Return whether `name` is a plain file name on every system, and not the manifest's."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None and name.casefold() != MANIFEST


def _entry(folder: Path, name: str, record: object) -> StoredFile:
    """Read the record of one file; refuse names that lead outside the folder."""
    if isinstance(record, dict) and record.keys() == {"path", "bytes", "sha256"}:
        path, size, digest = record["path"], record["bytes"], record["sha256"]
        well_formed = type(size) is int and size >= 0 and isinstance(digest, str) and _SHA256.fullmatch(digest)
        if is_valid_name(name) and is_valid_name(path) and well_formed:
            return StoredFile(path, size, digest)
    got = f"{reprlib.repr(name)}: {reprlib.repr(record)}"
    raise storage_error(folder, "files as a plain file name, a size and a SHA-256", got, "do not use this folder")


def _verify(path: Path, entry: StoredFile) -> None:
    try:
        if not path.is_file():
            raise storage_error(path, "a file named by the manifest", "none", _REBUILD)
        if (size := path.stat().st_size) != entry.bytes:
            raise storage_error(path, f"{entry.bytes} bytes", f"{size}", _REBUILD)
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise storage_error(path, "a readable file", error.strerror or str(error), "check its permissions") from error
    if digest != entry.sha256:
        raise storage_error(path, f"SHA-256 {entry.sha256[:12]}...", f"{digest[:12]}...", _REBUILD)


def storage_error(place: Path, expected: str, got: str, remedy: str) -> StorageError:
    """Return an error of one line: the place, what was expected, what it got, and what to do."""
    return StorageError(f"{place}: expected {expected}, got {got}; {remedy}")
