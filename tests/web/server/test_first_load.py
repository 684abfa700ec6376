"""Only Streamlit's document gets what shows a page when its pieces are in place."""

import asyncio

from moodspace.web.server.first_load import ADDED, FirstLoadMiddleware


def answer(start: dict, body: bytes, accept: bytes = b"text/html,*/*") -> tuple[dict[bytes, bytes], bytes, dict]:
    """Return the headers and the body that a browser gets, and the request that the application saw."""
    sent, seen = [], {}

    async def app(scope: dict, receive: object, send: object) -> None:
        seen.update(scope)
        await send({"type": "http.response.start", "status": 200, **start})
        await send({"type": "http.response.body", "body": body[:40], "more_body": True})
        await send({"type": "http.response.body", "body": body[40:]})

    async def send(message: dict) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "GET", "headers": [(b"accept", accept), (b"accept-encoding", b"gzip")]}
    asyncio.run(FirstLoadMiddleware(app)(scope, None, send))
    return dict(sent[0]["headers"]), b"".join(one.get("body", b"") for one in sent[1:]), seen


def test_only_streamlits_document_is_changed() -> None:
    html = [(b"content-type", b"text/html; charset=utf-8"), (b"etag", b"x")]
    document = b'<html><head><title>a</title></head><body><div id="root"></div></body></html>'
    headers, body, request = answer({"headers": html}, document)
    assert body == document.replace(b"</head>", ADDED + b"</head>")
    assert headers[b"content-length"] == str(len(body)).encode() and b"etag" not in headers
    assert (b"accept-encoding", b"gzip") not in request["headers"]
    other = document.replace(b"root", b"map")
    assert answer({"headers": html}, other)[:2] == (dict(html), other)
    script = [(b"content-type", b"text/javascript")]
    headers, body, request = answer({"headers": script}, document, b"*/*")
    assert (headers, body) == (dict(script), document) and (b"accept-encoding", b"gzip") in request["headers"]
    packed = [*html, (b"content-encoding", b"gzip")]
    assert answer({"headers": packed}, document)[:2] == (dict(packed), document)
