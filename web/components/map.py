"""The map page of a visitor: the gallery's map with the visitor's taught faces, served as one compressed document."""

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
from moodspace.classifier.face_pictures import FacePictures
from moodspace.classifier.map_positions import MAP_NEIGHBORS, map_positions
from moodspace.classifier.recognizer import Recognizer
from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.faces import TaughtFaces
from moodspace.viz.map.face_map import NEIGHBORS, TAUGHT, FaceMap
from moodspace.viz.map.layout import Layout
from moodspace.viz.map.making import make_map
from moodspace.viz.map.page import write_page
from moodspace.viz.theme import page
from moodspace.web.components.face_route import PATH as FACES
from moodspace.web.server.visitors import Visitor, VisitorsError, visitor_of

logger = logging.getLogger(__name__)

PATH = "/moodspace/map"

# The document's own policy forbids it to load anything; this one also keeps other sites from embedding it.
_HEADERS = {
    "Cache-Control": "private, no-cache",
    "Content-Security-Policy": "default-src 'none'; img-src data: blob: 'self'; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'self'",
    "Content-Encoding": "gzip",
    "Vary": "Cookie",
}
_NO_MAP = "<main class='sheet'><p>This bundle has no map yet; <code>moodspace visualize</code> draws one.</p></main>"
_TAUGHT_NOTE = "your taught faces appear next to their most similar faces"
# Fields of a map that are not columns with one row per face.
_NOT_COLUMNS = ("classes", "note", "crops")
# A higher gzip level takes longer and saves little.
_COMPRESSION = 5
# The gallery's map takes seconds to draw, so only one request draws it.
_drawing = Lock()


def map_route() -> Route:
    """Return the route for the web app."""
    return Route(PATH, _serve, methods=["GET"])


async def _serve(request: Request) -> Response:
    visitor = visitor_of(request)
    if visitor is None:
        return _message("Open the app first.", 403)
    try:
        packed = await run_in_threadpool(_visitors_map, visitor)
    except VisitorsError:  # the visitor left while the request was on its way
        return _message("Your visit has ended. Reload the page to begin a new one.", 410)
    except (GalleryError, StorageError) as error:  # the message names a folder of the server
        logger.warning("a map could not be drawn: %s", error)
        return _message("Your map cannot be drawn right now. Reload the page to try again.", 503)
    tag = f'"{hashlib.sha256(packed).hexdigest()}"'
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=_HEADERS | {"ETag": tag})
    return Response(packed, media_type="text/html; charset=utf-8", headers=_HEADERS | {"ETag": tag})


def _message(text: str, status: int) -> HTMLResponse:
    return HTMLResponse(page("Moodspace", f"<main class='sheet'><p>{text}</p></main>"), status)


def _visitors_map(visitor: Visitor) -> bytes:
    """Return the visitor's map, compressed; wait if another request is drawing the gallery's map.

    Raises:
        VisitorsError: The visitor has left.
        GalleryError, StorageError: The visitor's gallery cannot be read.
    """
    with visitor.in_use():
        bundle, labels = visitor.recognizer.bundle, visitor.recognizer.label_set
        with _drawing:
            base, packed = _base(bundle, labels, visitor.engine.pictures)
        parts = list(visitor.gallery.rows())
        if base is None or not parts:
            return packed
        face_map = with_taught(base, visitor.recognizer, TaughtFaces.joined(parts))
        return _compressed(map_html(face_map, visitor.recognizer.pictures))


@lru_cache(maxsize=1)
def _base(bundle: Bundle, labels: str, pictures: FacePictures) -> tuple[FaceMap | None, bytes]:
    """Return the gallery's map, and its document as visitors without taught faces get it."""
    base = gallery_map(Recognizer(bundle, labels))
    return base, _compressed(map_html(base, pictures) if base else page("Moodspace", _NO_MAP).encode())


def _compressed(document: bytes) -> bytes:
    return gzip.compress(document, _COMPRESSION, mtime=0)


def gallery_map(recognizer: Recognizer) -> FaceMap | None:
    """Draw the map of a bundle's gallery, which takes seconds; return None if the bundle has no map coordinates.

    Args:
        recognizer: A recognizer of the bundle, in the view to draw; its taught faces are left out.
    """
    coordinates = recognizer.bundle.map_coordinates
    if coordinates is None or not len(coordinates):
        return None
    made = recognizer.bundle.meta["metrics"].get("map")
    seed = made["seed"] if isinstance(made, dict) else 0
    return make_map(recognizer, Layout(coordinates, seed, fresh=False)).face_map


def with_taught(base: FaceMap, recognizer: Recognizer, taught: TaughtFaces) -> FaceMap:
    """Return the map with a visitor's faces added; nothing else moves.

    Args:
        base: The gallery's map.
        recognizer: A recognizer of the same bundle.
        taught: The visitor's taught faces.
    """
    classes = tuple(dict.fromkeys((*base.classes, *taught.labels)))
    added = _placed(base, recognizer, taught, classes)
    columns = {one.name: getattr(base, one.name) for one in fields(base) if one.name not in _NOT_COLUMNS}
    joined: dict[str, Any] = {name: np.concatenate([column, added[name]]) for name, column in columns.items()}
    return FaceMap(classes=classes, note=f"{base.note} · {_TAUGHT_NOTE}", crops=base.crops, **joined)


def _placed(
    base: FaceMap, recognizer: Recognizer, taught: TaughtFaces, classes: tuple[str, ...]
) -> dict[str, np.ndarray]:
    """Return the map's columns for the taught faces whose position can be computed."""
    index = recognizer.bundle.index
    # The gallery rounds embeddings to 16 bits, so their length is no longer exactly 1.
    rows = taught.embeddings / np.linalg.norm(taught.embeddings, axis=1, keepdims=True)
    neighbors = index.search(rows.astype(np.float32), max(MAP_NEIGHBORS, NEIGHBORS))
    neighbor_rows = index.rows(neighbors.ids)
    positions = map_positions(neighbors, neighbor_rows, base.coordinates)
    known = np.isfinite(positions).all(axis=1)
    n = int(known.sum())
    return {
        "coordinates": positions[known],
        "labels": np.array([classes.index(label) for label in taught.labels], np.int64)[known],
        "ids": taught.ids[known],
        "sources": np.array(taught.sources, np.str_)[known],
        "predicted": np.full(n, -1),
        "confidence": np.full(n, np.nan, np.float32),
        "neighbors": neighbor_rows[known, : base.neighbors.shape[1]],
        "splits": np.full(n, ""),
        "origin": np.full(n, TAUGHT),
        "picture": np.full(n, -1),
    }


def map_html(face_map: FaceMap, pictures: FacePictures) -> bytes:
    """Return the map as one HTML document, UTF-8, whose own policy forbids it to load anything but faces' images.

    Args:
        face_map: The map.
        pictures: The images that the server has; the page loads them one by one.
    """
    served = pictures.rows(face_map.ids) >= 0
    own = np.flatnonzero(face_map.origin == TAUGHT)
    kept = pictures.of(face_map.ids[own].tolist())
    served[own] = [number in kept for number in face_map.ids[own].tolist()]
    with tempfile.TemporaryDirectory(prefix="moodspace-") as folder:
        path = Path(folder) / "map.html"
        write_page(face_map, path, served=served if served.any() else None, at=FACES, live=True)
        return path.read_bytes()
