"""Serve the picture of a known face, to a visitor who may see it: of the gallery, or taught by this visitor."""

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.web.components.photos import crop_picture
from moodspace.web.server.visitors import Visitor, VisitorsError, visitor_of

PATH = "/moodspace/face"
# An id is never used for another face.
_HEADERS = {"Cache-Control": "private, max-age=3600", "Vary": "Cookie", "X-Content-Type-Options": "nosniff"}


def face_route() -> Route:
    """Return the route for the web app."""
    return Route(PATH + "/{number:int}", _serve, methods=["GET"])


async def _serve(request: Request) -> Response:
    visitor, number = visitor_of(request), request.path_params["number"]
    if visitor is None:
        return Response(status_code=403)
    try:
        content = await run_in_threadpool(_picture, visitor, number)
    except (VisitorsError, GalleryError, StorageError):
        content = None
    if content is None:
        return Response(status_code=404)
    return Response(content, media_type="image/png", headers=_HEADERS)


def _picture(visitor: Visitor, number: int) -> bytes | None:
    with visitor.in_use():
        found = visitor.recognizer.pictures.of([number]) if number < 2**63 else {}
    return crop_picture(found[number]) if found else None
