"""The JSON file of taught faces, which the browser app exports and imports; it needs no pyarrow.

It is an object with `format`, `version`, the `encoder` that made the embeddings, their length `dim`, and `faces`:
objects with `label`, `source`, `added` (seconds since 1970, UTC), `digest` (SHA-256 of the crop or "") and `embedding`,
a list of numbers of unit length.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.embeddings.data.labels import ClassNameError, class_name
from moodspace.index.store.commit import GalleryError
from moodspace.index.taught.faces import IMPORTED, NewFaces, TaughtFaces

FORMAT, VERSION = "moodspace-taught-faces", 1

# An embedding whose length differs more from 1 is damaged.
LENGTH_TOLERANCE = 0.01
# Limits on files from strangers: the length of a text, and bytes per number.
_LONGEST_TEXT, _LONGEST_NUMBER = 4096, 32
_DIGITS = 7


def is_json(path: Path) -> bool:
    """Return whether a file begins as a JSON object; False if it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(64).lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{")
    except OSError:
        return False


def to_json(faces: TaughtFaces, encoder: str) -> bytes:
    """Return faces as a JSON file.

    Args:
        faces: The faces.
        encoder: The fingerprint of the encoder that made the embeddings.
    """
    rows = [
        {
            "label": faces.labels[at],
            "source": faces.sources[at],
            "added": float(faces.added[at]),
            "digest": faces.digests[at],
            "embedding": [round(value, _DIGITS) for value in faces.embeddings[at].tolist()],
        }
        for at in range(len(faces.ids))
    ]
    document = {"format": FORMAT, "version": VERSION, "encoder": encoder, "dim": faces.embeddings.shape[1]}
    return json.dumps({**document, "faces": rows}, ensure_ascii=False, separators=(",", ":")).encode()


def read_json(path: Path, encoder: str, dim: int, *, most: int | None = None) -> NewFaces:
    """Read a JSON file of faces.

    Args:
        path: The file.
        encoder: The fingerprint of the encoder in use.
        dim: Length of its embeddings.
        most: For a file from a stranger, how many faces it may hold. None for the user's own file.

    Raises:
        GalleryError: The file is damaged or something else, too large, or another encoder made it.
    """
    try:
        if most is not None and path.stat().st_size > (most + 1) * (_LONGEST_NUMBER * dim + 4 * _LONGEST_TEXT):
            raise GalleryError(f"{path}: expected a file as exported, got a larger one; export it again")
        document = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError) as error:
        if isinstance(error, GalleryError):
            raise
        raise GalleryError(
            f"{path}: expected an exported gallery, got a file that is no JSON; export it again"
        ) from error
    rows = _checked(path, document, encoder, most)
    try:
        return NewFaces(
            embeddings=_embeddings(rows, dim),
            labels=[class_name(_text(row, "label")) for row in rows],
            sources=[IMPORTED + _text(row, "source").removeprefix(IMPORTED) for row in rows],
            digests=[_text(row, "digest") for row in rows],
            added=np.array([float(row["added"]) for row in rows], np.float64),
        )
    except ClassNameError as error:
        raise GalleryError(f"{path}: {str(error).rpartition('; ')[0]}; teach that class under another name") from error
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        reason = " ".join(str(error).split())
        raise GalleryError(
            f"{path}: expected an exported gallery, got other values ({reason}); export it again"
        ) from error


def _checked(path: Path, document: Any, encoder: str, most: int | None) -> list[Mapping[str, Any]]:
    if not isinstance(document, dict) or not isinstance(document.get("faces"), list):
        raise GalleryError(f"{path}: expected an exported gallery, got another JSON file; choose another")
    kind, version, made_by = (document.get(key) for key in ("format", "version", "encoder"))
    if kind != FORMAT or version != VERSION:
        raise GalleryError(f"{path}: expected {FORMAT} version {VERSION}, got {kind} {version}; update this program")
    if made_by != encoder:
        raise GalleryError(
            f"{path}: expected embeddings of encoder {encoder[:12]}, got {str(made_by)[:12]}; teach the pictures"
        )
    rows = document["faces"]
    if most is not None and len(rows) > most:
        raise GalleryError(f"{path}: expected room for {len(rows):,} faces, got room for {most:,}; forget some")
    if not all(isinstance(row, dict) for row in rows):
        raise GalleryError(f"{path}: expected faces as JSON objects, got others; export it again")
    return rows


def _text(row: Mapping[str, Any], name: str) -> str:
    value = row[name]
    if not isinstance(value, str) or len(value) > _LONGEST_TEXT:
        raise TypeError(f"{name}: expected a text of at most {_LONGEST_TEXT:,} letters")
    return value


def _embeddings(rows: list[Mapping[str, Any]], dim: int) -> Any:
    values = np.array([row["embedding"] for row in rows], np.float64).reshape(-1, dim)
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    if len(values) != len(rows) or not (np.abs(lengths - 1) < LENGTH_TOLERANCE).all():
        raise ValueError("expected embeddings of length 1, got other lengths")
    return (values / lengths).astype(np.float32)
