"""Serve the map of the visitor who asks: a page of its own, sent once and compressed, not with each click."""

import gzip
import hashlib
import logging
import tempfile
from dataclasses import fields
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.map_positions import PLACED_BY, map_positions
from moodspace.classifier.recognizer import Recognizer
from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.faces import TaughtFaces
from moodspace.viz.map.face_map import NEIGHBORS, TAUGHT, FaceMap
from moodspace.viz.map.layout import Layout
from moodspace.viz.map.making import make_map
from moodspace.viz.map.page import write_map_page
from moodspace.viz.theme import page
from moodspace.web.server.visitors import Visitor, VisitorsError, visitor_of

_TAUGHT_NOTE = "the faces that you taught stand among those most like them"

# Columns that are not one row a face.
_WHOLE = ("classes", "note", "crops")


def gallery_map(recognizer: Recognizer) -> FaceMap | None:
    """Return the map of a bundle's gallery, where its faces were placed once; takes seconds. None without places.

    Args:
        recognizer: Whose bundle's gallery is drawn, and in whose view; what is taught has no part in it.
    """
    coordinates = recognizer.bundle.map_coordinates
    if coordinates is None or not len(coordinates):
        return None
    made = recognizer.bundle.meta["metrics"].get("map")
    seed = made["seed"] if isinstance(made, dict) else 0
    return make_map(recognizer, Layout(coordinates, seed, fresh=False)).face_map


def with_taught(base: FaceMap, recognizer: Recognizer, taught: TaughtFaces) -> FaceMap:
    """Return the map with a visitor's faces on it; nothing else moves.

    Args:
        base: Of the gallery.
        recognizer: Whose bundle's that is.
        taught: The visitor's own faces.
    """
    classes = tuple(dict.fromkeys((*base.classes, *taught.labels)))
    added = _placed(base, recognizer, taught, classes)
    columns = {one.name: getattr(base, one.name) for one in fields(base) if one.name not in _WHOLE}
    joined: dict[str, Any] = {name: np.concatenate([column, added[name]]) for name, column in columns.items()}
    return FaceMap(classes=classes, note=f"{base.note} · {_TAUGHT_NOTE}", crops=base.crops, **joined)


def map_html(face_map: FaceMap) -> bytes:
    """Return the map as one HTML document, UTF-8, whose own policy forbids it to load anything."""
    with tempfile.TemporaryDirectory(prefix="moodspace-") as folder:
        path = Path(folder) / "map.html"
        write_map_page(face_map, path)
        return path.read_bytes()


def _placed(
    base: FaceMap, recognizer: Recognizer, taught: TaughtFaces, classes: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Return the columns of those taught faces that have a place among the gallery's."""
    index = recognizer.bundle.index
    # Rounded to 16 bits in the gallery, so no longer quite of unit length.
    rows = taught.embeddings / np.linalg.norm(taught.embeddings, axis=1, keepdims=True)
    neighbors = index.search(rows.astype(np.float32), max(PLACED_BY, NEIGHBORS))
    alike = index.rows(neighbors.ids)
    places = map_positions(neighbors, alike, base.coordinates)
    known = np.isfinite(places).all(axis=1)
    n = int(known.sum())
    return {
        "coordinates": places[known],
        "labels": np.array([classes.index(label) for label in taught.labels], np.int64)[known],
        "ids": taught.ids[known],
        "sources": np.array(taught.sources, np.str_)[known],
        "predicted": np.full(n, -1),
        "confidence": np.full(n, np.nan, np.float32),
        "neighbors": alike[known, : base.neighbors.shape[1]],
        "splits": np.full(n, ""),
        "origin": np.full(n, TAUGHT),
        "picture": np.full(n, -1),
    }


logger = logging.getLogger(__name__)

PATH = "/moodspace/map"

# The page's own policy forbids it to load anything; this one keeps other sites from showing it, too.
_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'none'; img-src data: blob:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'self'",
    "Content-Encoding": "gzip",
    "Vary": "Cookie",
}
_NO_MAP = "<main class='sheet'><p>This bundle has no map yet; <code>cli.py visualize</code> draws one.</p></main>"


# Of gzip: more takes longer and saves little.
_EFFORT = 5

# The gallery's map takes seconds to make: once, however many ask for it.
_MAKING = Lock()


def map_route() -> Route:
    """Return the route, for the server's application."""
    return Route(PATH, _serve, methods=["GET"])


async def _serve(request: Request) -> Response:
    visitor = visitor_of(request)
    if visitor is None:
        return _word("Open the app first.", 403)
    try:
        packed = await run_in_threadpool(_packed, visitor)
    except VisitorsError:  # the visitor left while the request was on its way
        return _word("Your visit has ended. Reload the page to begin a new one.", 410)
    except (GalleryError, StorageError) as error:  # its words name a folder of the server
        logger.warning("a map could not be drawn: %s", error)
        return _word("Your map cannot be drawn right now. Reload the page to try again.", 503)
    stamp = f'"{hashlib.sha256(packed).hexdigest()}"'
    if request.headers.get("if-none-match") == stamp:
        return Response(status_code=304, headers=_HEADERS | {"ETag": stamp})
    return Response(packed, media_type="text/html; charset=utf-8", headers=_HEADERS | {"ETag": stamp})


def _word(words: str, status: int) -> HTMLResponse:
    return HTMLResponse(page("Moodspace", f"<main class='sheet'><p>{words}</p></main>"), status)


def _packed(visitor: Visitor) -> bytes:
    """Return the visitor's map, compressed; wait if another request is drawing the gallery's map.

    Raises:
        VisitorsError: The visitor has left.
        GalleryError, StorageError: The visitor's gallery cannot be read.
    """
    with visitor.kept():
        bundle, labels = visitor.recognizer.bundle, visitor.recognizer.label_set
        with _MAKING:
            base, packed = _base(bundle, labels)
        parts = list(visitor.gallery.rows())
        if base is None or not parts:
            return packed
        return _pack(map_html(with_taught(base, visitor.recognizer, TaughtFaces.joined(parts))))


@lru_cache(maxsize=1)
def _base(bundle: Bundle, labels: str) -> tuple[FaceMap | None, bytes]:
    """Return the map of the gallery, and the same as every visitor sees it who taught nothing."""
    base = gallery_map(Recognizer(bundle, labels))
    return base, _pack(map_html(base) if base else page("Moodspace", _NO_MAP).encode())


def _pack(document: bytes) -> bytes:
    return gzip.compress(document, _EFFORT, mtime=0)
