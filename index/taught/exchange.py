"""Export the user's gallery to a file and import it, for other tools and machines: parquet, or JSON (`json_file`).

Parquet needs pyarrow. Its columns: `id`, `label`, `source`, `added` (UTC), `digest` (SHA-256 of the crop) and
`embedding`, a list of 32-bit floats of unit length. The schema's metadata names the encoder that made them.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from moodspace.arrays import FloatArray
from moodspace.embeddings.data.labels import ClassNameError, class_name
from moodspace.embeddings.files.names import write_whole
from moodspace.errors import install_command
from moodspace.index.store.commit import GalleryError
from moodspace.index.taught.faces import IMPORTED, NewFaces, TaughtFaces
from moodspace.index.taught.gallery import TaughtGallery
from moodspace.index.taught.json_file import FORMAT, LENGTH_TOLERANCE, VERSION, is_json, read_json, to_json

_METADATA = b"moodspace"
_COLUMNS = ("label", "source", "added", "digest", "embedding")
_TEXTS = ("label", "source", "digest")

# Limits on files from strangers: compression with a bounded ratio, and short texts.
_SAFE_COMPRESSION = ("SNAPPY", "UNCOMPRESSED")
_LONGEST_TEXT = 4096


# pyarrow 26 crashes the process on some damaged files, so a separate process tries to read first.
_PROBE_SCRIPT = """
import sys
from pyarrow import parquet
with parquet.ParquetFile(sys.argv[1], read_dictionary=sys.argv[2:]) as file:
    groups = [file.metadata.row_group(at) for at in range(file.metadata.num_row_groups)]
    parts = [group.column(at) for group in groups for at in range(group.num_columns)]
    if sum(part.total_uncompressed_size for part in parts) < 2**30:
        file.read()
"""
_PROBE_TIMEOUT_S = 60


def export_gallery(gallery: TaughtGallery, path: Path) -> int:
    """Write all faces of a gallery to a JSON file if its name ends in .json, or else a parquet file; return how many.

    Raises:
        GalleryError: pyarrow is not installed and needed, or the gallery is empty.
        OSError: The file cannot be written.
    """
    parts = list(gallery.rows())
    if not parts:
        raise GalleryError(f"{gallery.folder}: expected faces to export, got none; teach it some first")
    try:
        export_faces(path, TaughtFaces.joined(parts), gallery.encoder)
    except OSError as error:
        got = os.strerror(error.errno) if error.errno else str(error)
        raise OSError(f"{path}: expected to write this file, got: {got}; choose another place") from error
    return len(gallery)


def import_gallery(gallery: TaughtGallery, path: Path, *, most: int | None = None) -> tuple[int, int]:
    """Add the faces of an exported gallery; return how many were added and how many were already known.

    Importing a file again changes nothing.

    Args:
        gallery: The gallery to add to.
        path: The file.
        most: How many faces the file, and the gallery afterwards, may hold; for files from strangers, see
            `import_faces`.

    Raises:
        GalleryError: pyarrow is not installed, or the file was not exported from a gallery of the same encoder.
        StorageError: The gallery cannot be written.
    """
    faces = import_faces(path, gallery.encoder, gallery.dim, most=most)
    added = len(gallery.add_missing(faces, most=most).ids)
    return added, len(faces) - added


def export_faces(path: Path, faces: TaughtFaces, encoder: str) -> None:
    """Write faces to a file; an existing file is replaced only when the new one is complete.

    Args:
        path: The file: JSON if its name ends in .json, or else parquet.
        faces: The faces to write.
        encoder: The fingerprint of the encoder that made the embeddings.

    Raises:
        GalleryError: pyarrow is not installed and needed.
        OSError: the file cannot be written.
    """
    if path.suffix.lower() == ".json":
        write_whole(path, lambda partial: partial.write_bytes(to_json(faces, encoder)))
        return
    pa, parquet = _pyarrow()
    dim = faces.embeddings.shape[1]
    columns = {
        "id": pa.array(faces.ids, pa.int64()),
        "label": pa.array(faces.labels, pa.string()),
        "source": pa.array(faces.sources, pa.string()),
        "added": pa.array((faces.added * 1e6).round().astype(np.int64), pa.timestamp("us", tz="UTC")),
        "digest": pa.array(faces.digests, pa.string()),
        "embedding": pa.FixedSizeListArray.from_arrays(pa.array(faces.embeddings.reshape(-1), pa.float32()), dim),
    }
    described = json.dumps({"format": FORMAT, "version": VERSION, "encoder": encoder, "dim": dim})
    table = pa.table(columns).replace_schema_metadata({_METADATA: described})
    write_whole(path, lambda partial: parquet.write_table(table, partial))


def import_faces(path: Path, encoder: str, dim: int, *, most: int | None = None) -> NewFaces:
    """Read an exported file, JSON or parquet.

    Args:
        path: The file.
        encoder: The fingerprint of the encoder in use.
        dim: Length of its embeddings.
        most: For a file from a stranger, how many faces it may hold; a file that needs more memory than that is refused
            before it is read. None for the user's own file.

    Returns:
        The faces; their sources begin with `IMPORTED`, because paths of another machine do not exist on this one.

    Raises:
        GalleryError: pyarrow is not installed and needed, the file is damaged or something else, or another encoder
            made it.
    """
    if is_json(path):
        return read_json(path, encoder, dim, most=most)
    pa, parquet = _pyarrow()
    try:
        _check_described(path, parquet.read_schema(path), encoder)
        _probe_in_subprocess(path)
        # Repeated texts stay dictionary-encoded until they are checked: a small file can repeat a long text often.
        with parquet.ParquetFile(path, read_dictionary=list(_TEXTS)) as file:
            if most is not None:
                _check_size(path, file.metadata, dim, most)
            table = file.read(columns=list(_COLUMNS))
        if most is not None:
            _check_texts(path, table)
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise GalleryError(f"{path}: expected an exported gallery, got: {reason}; export it again") from error
    try:
        text = {name: table[name].to_pylist() for name in _TEXTS}
        return NewFaces(
            embeddings=_embeddings(table["embedding"], dim),
            labels=[class_name(label) for label in text["label"]],
            sources=[IMPORTED + source.removeprefix(IMPORTED) for source in text["source"]],
            digests=text["digest"],
            added=np.array(table["added"].cast(pa.int64()).to_pylist(), np.float64) / 1e6,
        )
    except ClassNameError as error:
        raise GalleryError(f"{path}: {str(error).rpartition('; ')[0]}; teach that class under another name") from error
    except (GalleryError, TypeError, AttributeError, ValueError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise GalleryError(f"{path}: expected an exported gallery, got other columns ({reason})") from error


def _probe_in_subprocess(path: Path) -> None:
    """Refuse a file that crashes the process that reads it; other problems show when it is read."""
    command = [sys.executable, "-c", _PROBE_SCRIPT, str(path), *_TEXTS]
    try:
        status = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            timeout=_PROBE_TIMEOUT_S, check=False,
        ).returncode  # fmt: skip
    except subprocess.TimeoutExpired:
        status = -1
    if status not in (0, 1):
        raise GalleryError(f"{path}: expected an exported gallery, got a broken file; export it again")


def _embeddings(column: Any, dim: int) -> FloatArray:
    rows = np.array(column.to_pylist(), np.float32).reshape(-1, dim)
    # In 16 bits the length of a unit vector is off by up to 0.0005.
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1, keepdims=True)
    if not (np.abs(lengths - 1) < LENGTH_TOLERANCE).all():
        raise GalleryError("expected embeddings of length 1, got other lengths")
    return (rows / lengths).astype(np.float32)


def _check_described(path: Path, schema: Any, encoder: str) -> None:
    try:
        described = json.loads((schema.metadata or {})[_METADATA])
        kind, version, made_by = (described[key] for key in ("format", "version", "encoder"))
    except (KeyError, TypeError, ValueError) as error:
        raise GalleryError(f"{path}: expected an exported gallery, got another parquet file; choose another") from error
    if kind != FORMAT or version != VERSION:
        raise GalleryError(f"{path}: expected {FORMAT} version {VERSION}, got {kind} {version}; update this program")
    if made_by != encoder:
        raise GalleryError(
            f"{path}: expected embeddings of encoder {encoder[:12]}, got {str(made_by)[:12]}; teach the pictures"
        )
    if missing := set(_COLUMNS) - set(schema.names):
        raise GalleryError(f"{path}: expected the columns {', '.join(_COLUMNS)}, got none of {', '.join(missing)}")


def _check_size(path: Path, stated: Any, dim: int, most: int) -> None:
    if stated.num_rows > most:
        raise GalleryError(f"{path}: expected room for {stated.num_rows:,} faces, got room for {most:,}; forget some")
    groups = (stated.row_group(at) for at in range(stated.num_row_groups))
    parts = [group.column(at) for group in groups for at in range(group.num_columns)]
    known = all(part.compression in _SAFE_COMPRESSION and part.num_values <= stated.num_rows * dim for part in parts)
    if not known or sum(part.total_uncompressed_size for part in parts) > (most + 1) * (4 * dim + _LONGEST_TEXT):
        raise GalleryError(f"{path}: expected a file as exported, got a changed one; export it again")


def _check_texts(path: Path, table: Any) -> None:
    chunks = [chunk for name in _TEXTS for chunk in table[name].chunks if hasattr(chunk, "dictionary")]
    longest = max((len(one or "") for chunk in chunks for one in chunk.dictionary.to_pylist()), default=0)
    if longest > _LONGEST_TEXT:
        raise GalleryError(f"{path}: expected texts of at most {_LONGEST_TEXT} letters, got {longest:,}; shorten them")


def _pyarrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise GalleryError(
            f"expected pyarrow to export and import, got no such package; {install_command('train')}"
        ) from error
    return pyarrow, pyarrow.parquet
