"""`POST /mark`: another program on the network marks an event in a recording, with a token."""

import hmac
import json
import sys
import time
from datetime import datetime
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from moodspace.errors import MoodspaceError
from moodspace.realtime.session.file import SessionError
from moodspace.realtime.session.marks import mark_name
from moodspace.web.server.recording import Recording
from moodspace.web.server.settings import current_settings
from moodspace.web.server.visitors import all_visitors

PATH = "/mark"
HTTP = "http"

_MAX_BYTES = 4096
# The clock of another machine may be ahead by so many seconds.
_AHEAD_S = 2.0


class MarkError(MoodspaceError):
    """A request that cannot be followed, with its HTTP status."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(text)
        self.status = status


def mark_route() -> Route:
    """Return the route for the web app."""
    return Route(PATH, _serve, methods=["POST"], name="mark")


async def _serve(request: Request) -> Response:
    now = time.time()
    try:
        recording = await run_in_threadpool(_recording_of, request.headers.get("authorization", ""))
        name, wall_time = read_event(await _body(request), now)
        made = await run_in_threadpool(recording.mark, name, HTTP, wall_time)
    except MarkError as error:
        return PlainTextResponse(f"{error}\n", error.status)
    except SessionError:  # its message names a folder of the server
        return PlainTextResponse("expected a running recording, it has ended\n", 409)
    return JSONResponse({"name": made.name, "time": made.time})


def read_event(body: bytes, now: float) -> tuple[str, float]:
    """Return the name of an event and when it happened, unix seconds.

    Args:
        body: A JSON object with `name` and, if it did not happen now, `time`: unix seconds, or a date and time with a
            zone in ISO 8601.
        now: Unix seconds.

    Raises:
        MarkError: The body is not such an object, or the time lies in the future.
    """
    try:
        event = json.loads(body)
    except (ValueError, RecursionError):
        raise MarkError(400, 'expected JSON as {"name": "stimulus on"}, got something else') from None
    if not isinstance(event, dict) or not {"name"} <= set(event) <= {"name", "time"}:
        raise MarkError(400, "expected a JSON object with name and, if wanted, time, got something else")
    try:
        name, wall_time = mark_name(event["name"]), _wall(event.get("time"), now)
    except ValueError as error:
        raise MarkError(400, str(error)) from None
    if wall_time > now + _AHEAD_S:
        raise MarkError(400, f"time: expected a moment that has passed, got one {wall_time - now:.1f} s ahead")
    return name, min(wall_time, now)


def _wall(value: Any, now: float) -> float:
    match value:
        case None:
            return now
        case bool():
            pass
        case int() | float() if abs(value) <= sys.float_info.max:
            return float(value)
        case str():
            try:
                moment = datetime.fromisoformat(value)
            except ValueError:
                moment = None
            if moment is not None and moment.tzinfo is not None:
                return moment.timestamp()
    got = json.dumps(value)[:60]
    raise ValueError(f"time: expected unix seconds, or a date and time with a zone in ISO 8601, got {got}")


async def _body(request: Request) -> bytes:
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _MAX_BYTES:
            raise MarkError(413, f"expected at most {_MAX_BYTES} bytes, got more")
    return body


def _recording_of(authorization: str) -> Recording:
    """Return the recording that a request may mark.

    The token of a recording stands for it. The operator's token stands for the only recording that is running.

    Raises:
        MarkError: The token is missing or unknown, or it is not clear which recording is meant.
    """
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise MarkError(401, "expected the header 'Authorization: Bearer TOKEN'; the Session page shows the token")
    given = token.strip().encode("latin-1", "replace")
    running = all_visitors().recordings()
    for recording in running:
        if hmac.compare_digest(given, recording.token.encode()):
            return recording
    operators = current_settings().token
    if operators is None or not hmac.compare_digest(given, operators.encode()):
        raise MarkError(401, "expected the token of a running recording, got another; the Session page shows it")
    if len(running) != 1:
        got = f"{len(running)}; use the token that the Session page shows" if running else "none; start one"
        raise MarkError(409, f"expected one running recording, got {got}")
    return running[0]
