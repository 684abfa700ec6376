"""Serve the map of the visitor who asks: a page of its own, sent once and compressed, not with each click."""

import gzip
import hashlib
import logging
from functools import lru_cache
from threading import Lock

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from classifier.bundle import Bundle
from classifier.recognizer import Recognizer
from index.storage import GalleryError, StorageError
from index.taught_faces import TaughtFaces
from viz.face_map import FaceMap
from viz.theme import page
from web.map_view import gallery_map, map_html, with_taught
from web.visitors import Visitor, VisitorsError, visitor_of

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
