"""Bodies that are too large: refused at once, also where their length was not said."""

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from moodspace.web.server.middleware import AuthMiddleware, BodyLimitMiddleware
from moodspace.web.server.settings import Limits, WebSettings
from tests.web.asgi import ask

READ: list[int] = []


async def _count(request: Request) -> PlainTextResponse:
    READ.append(len(await request.body()))
    return PlainTextResponse(str(READ[-1]))


async def _talk(scope, receive, send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    while (await receive())["type"] != "http.disconnect":
        await send({"type": "http.response.body", "body": b".", "more_body": True})


APP = Starlette(routes=[Route("/{path:path}", _count, methods=["GET"])])


@pytest.fixture(autouse=True)
def _unread():
    READ.clear()


def test_what_fits_passes() -> None:
    answer = ask(BodyLimitMiddleware(APP, 10), body=(b"12345", b"67890"), content_length="10")
    assert (answer.status, answer.body) == (200, b"10")


def test_what_says_that_it_is_too_large_is_not_read() -> None:
    answer = ask(BodyLimitMiddleware(APP, 10), body=(b"x" * 11,), content_length="11")
    assert answer.status == 413 and b"smaller" in answer.body and answer.all("connection") == ["close"]
    assert not READ


@pytest.mark.parametrize("length", [{}, {"content_length": "3"}])
def test_what_grows_too_large_is_refused_on_its_way(length) -> None:
    answer = ask(BodyLimitMiddleware(APP, 10), body=(b"12345", b"67890", b"1", b"never read"), **length)
    assert answer.status == 413 and not READ


def test_an_answer_that_has_begun_ends() -> None:
    answer = ask(BodyLimitMiddleware(_talk, 10), body=(b"12345", b"1234567", b""))
    assert (answer.status, answer.body) == (200, b".")


def test_errors_of_what_answers_are_not_hidden() -> None:
    async def broken(scope, receive, send) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        ask(BodyLimitMiddleware(broken, 10))


def test_only_uploads_may_be_as_large_as_a_file() -> None:
    guard = AuthMiddleware(APP, WebSettings(limits=Limits(upload_bytes=2**20, video_bytes=3 * 2**20)))
    body = (b"x" * 2**20,) * 3
    assert ask(guard, "/photo", body=body, host="localhost").status == 413
    assert ask(guard, "/_stcore/upload_file/a/b", body=body, host="localhost").status == 200
    assert ask(guard, "/_stcore/upload_file/a/b", body=body * 2, host="localhost").status == 413
