"""Behind a reverse proxy: the names that it goes by are let in, on loopback too, and no others."""

import pytest

from moodspace.web.server.middleware import AuthMiddleware
from moodspace.web.server.settings import WebSettings
from tests.web.asgi import ask


async def _inside(scope, receive, send) -> None:
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"inside"})


BEHIND = AuthMiddleware(_inside, WebSettings(origins=("https://faces.example.org", "http://10.1.2.3:8080")))


@pytest.mark.parametrize("host", ["faces.example.org", "FACES.example.org:443", "10.1.2.3:8080", "127.0.0.1:8501"])
def test_a_proxy_may_pass_on_the_host_that_it_was_asked_for_or_not(host) -> None:
    assert ask(BEHIND, host=host).status == 200
    assert ask(BEHIND, kind="websocket", host=host, origin="https://faces.example.org").close is None


@pytest.mark.parametrize("host", ["example.org", "a.faces.example.org", "faces.example.org.evil.example", "10.1.2.4"])
def test_other_names_are_refused(host) -> None:
    assert ask(BEHIND, host=host).status == 400
    assert ask(BEHIND, kind="websocket", host=host, origin=f"https://{host}").close == 1008


@pytest.mark.parametrize(
    "origin", ["http://faces.example.org", "https://faces.example.org:8443", "https://example.org"]
)
def test_pages_of_others_get_no_socket_behind_a_proxy_either(origin) -> None:
    assert ask(BEHIND, kind="websocket", host="127.0.0.1:8501", origin=origin).close == 1008


@pytest.mark.parametrize(
    "origin",
    ["faces.example.org", "https://faces.example.org/", "https://Faces.example.org", "ftp://a", "https://", "https://[",
     "https://a b", "*", "", "https://a\nb", "https://a@b"],
)  # fmt: skip
def test_what_no_browser_sends_as_an_origin_is_refused_at_the_start(origin) -> None:
    with pytest.raises(ValueError, match="--origin: expected") as caught:
        WebSettings(origins=(origin,))
    assert "\n" not in str(caught.value)


def test_addresses_with_numbers_and_ports_are_origins() -> None:
    origins = ("https://faces.example.org:8443", "http://[::1]:80", "http://my_host")
    assert WebSettings(origins=origins).origins == origins
