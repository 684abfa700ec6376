"""What is in the user's gallery, counted."""

from __future__ import annotations

import contextlib
from pathlib import Path

from index.database import Database
from index.taught_faces import IMPORTED, LIVE, Summary

PICTURES = "pictures"


def read_summary(database: Database, folder: Path) -> Summary:
    """Counts what is in a gallery.

    Args:
        database: The gallery.
        folder: Where it lies, with all that belongs to it.

    Raises:
        GalleryError: It is damaged.
        StorageError: It cannot be read.
    """
    origin = (
        f"CASE WHEN r.path IS NOT NULL THEN r.path WHEN f.source = '{LIVE}' THEN '{LIVE}' "
        f"WHEN f.source LIKE '{IMPORTED}%' THEN '{IMPORTED.rstrip(':')}' ELSE '{PICTURES}' END"
    )
    encoder, dim = database.identity()
    with database.read() as connection:
        labels = connection.execute(
            "SELECT readable(l.name), count(*) FROM faces f JOIN labels l ON l.id = f.label GROUP BY 1 ORDER BY 1"
        ).fetchall()
        sources = connection.execute(
            f"SELECT {origin}, count(*) FROM faces f LEFT JOIN roots r ON r.id = f.root GROUP BY 1 ORDER BY 1"
        ).fetchall()
        roots = connection.execute("SELECT path, options FROM roots ORDER BY id").fetchall()
        first, last = connection.execute("SELECT min(added), max(added) FROM faces").fetchone()
    return Summary(
        labels=dict(labels),
        sources=dict(sources),
        roots={Path(path): options for path, options in roots},
        first=first,
        last=last,
        bytes=_size(folder),
        encoder=encoder,
        dim=dim,
    )


def _size(folder: Path) -> int:
    size = 0
    for path in folder.rglob("*"):
        with contextlib.suppress(FileNotFoundError):  # others remove their logs when they finish
            size += path.stat().st_size if path.is_file() else 0
    return size
