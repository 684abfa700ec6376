"""Who is let in: tokens, origins, hosts; and what every answer gets."""

import pytest

from moodspace.web.server.identity import VISITOR_COOKIE, is_key
from moodspace.web.server.middleware import TOKEN_COOKIE, AuthMiddleware
from moodspace.web.server.settings import WebSettings
from tests.web.asgi import ask

SECRET = "a-token-of-mine"
KEY = "k" * 43


class Inside:
    """What is guarded: says what it was asked for."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    async def __call__(self, scope, receive, send) -> None:
        self.asked.append(scope["path"])
        if scope["type"] == "http":
            await send({"type": "http.response.start", "status": 200, "headers": [(b"set-cookie", b"theirs=1")]})
            await send({"type": "http.response.body", "body": b"inside"})


@pytest.fixture
def inside():
    return Inside()


@pytest.fixture
def here(inside):
    return AuthMiddleware(inside, WebSettings())


@pytest.fixture
def closed(inside):
    return AuthMiddleware(inside, WebSettings(host="0.0.0.0", token=SECRET, origins=("https://faces.example.org",)))


@pytest.mark.parametrize("host", ["localhost:8501", "127.0.0.1:8501", "LOCALHOST", "[::1]:8501"])
def test_this_machine_is_let_in_by_its_own_names(here, host) -> None:
    assert ask(here, host=host).status == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example:8501", "[::1", "", "127.0.0.1@evil.example"])
def test_on_loopback_other_names_are_refused_so_that_none_can_be_pointed_here(here, inside, host) -> None:
    assert ask(here, host=host).status == 400
    assert ask(here, kind="websocket", host=host, origin=f"http://{host}").close == 1008
    assert not inside.asked


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example", "http://localhost:8502", "null", "file://localhost:8501", "http://[", "",
     "http://localhost:8501@evil.example", "http://localhost:8501.evil.example"],
)  # fmt: skip
def test_pages_of_others_get_no_socket(here, inside, origin) -> None:
    assert ask(here, kind="websocket", host="localhost:8501", origin=origin).close == 1008
    assert ask(here, kind="websocket", host="localhost:8501").close == 1008
    assert not inside.asked


def test_its_own_pages_do(here, closed, inside) -> None:
    ask(here, "/moodspace/live", kind="websocket", host="localhost:8501", origin="http://LocalHost:8501")
    cookie = f"{TOKEN_COOKIE}={SECRET}"
    ask(closed, kind="websocket", host="10.0.0.1:80", origin="https://faces.example.org", cookie=cookie)
    assert inside.asked == ["/moodspace/live", "/"]


@pytest.mark.parametrize("kind", ["http", "websocket"])
@pytest.mark.parametrize("path", ["/", "/static/js/index.js", "/_stcore/stream", "/_stcore/health/", "/moodspace/../"])
@pytest.mark.parametrize("given", ["", "token=", "token=a-token-of-min", "token=%00", "token=ü", "toke=" + SECRET])
def test_without_the_token_nothing_is_reached(closed, inside, kind, path, given) -> None:
    cookie = given.replace("token", TOKEN_COOKIE)
    answer = ask(closed, path, kind=kind, query=given, host="a", origin="http://a", cookie=cookie)
    assert (answer.status, answer.close) in ((403, None), (0, 1008))
    assert not inside.asked and SECRET.encode() not in answer.body and not answer.all("set-cookie")


def test_the_health_of_the_server_is_no_secret(closed) -> None:
    assert ask(closed, "/_stcore/health", host="a").status == 200


def test_a_socket_takes_the_token_from_the_cookie_only(closed, inside) -> None:
    assert ask(closed, kind="websocket", host="a", origin="http://a", query="token=" + SECRET).close == 1008
    assert not inside.asked


def test_the_token_becomes_a_cookie_and_leaves_the_address(closed) -> None:
    answer = ask(closed, "/photo", query=f"a=1&token={SECRET}&b=%C3%BC", host="a", x_forwarded_proto="https")
    assert answer.status == 303 and answer.all("location") == ["/photo?a=1&b=%C3%BC"]
    (cookie,) = answer.all("set-cookie")
    assert cookie == f"{TOKEN_COOKIE}={SECRET}; Path=/; HttpOnly; SameSite=Lax; Secure"
    assert ask(closed, "/photo", host="a", cookie=cookie.split(";")[0]).status == 200


@pytest.mark.parametrize("path", ["//evil.example/", "/\\evil.example", "/a\r\nset-cookie: b=c", "/ünicode/☃"])
def test_it_sends_nobody_elsewhere(closed, path) -> None:
    (location,) = ask(closed, path, query=f"token={SECRET}", host="a").all("location")
    assert location.startswith("/") and location[1:2] not in ("/", "\\")
    assert location.isascii() and location.isprintable()


def test_the_first_page_brings_a_key_that_nobody_can_guess(here) -> None:
    first, second = (ask(here, host="localhost").all("set-cookie") for _ in range(2))
    assert first[0] == second[0] == "theirs=1" and first[1] != second[1]
    key, _, rest = first[1].removeprefix(f"{VISITOR_COOKIE}=").partition("; ")
    assert is_key(key) and rest == "Path=/; HttpOnly; SameSite=Lax"
    assert ask(here, host="localhost", cookie=f"other={{}}; {VISITOR_COOKIE}={key}").all("set-cookie") == ["theirs=1"]


def test_it_lasts_where_what_is_taught_is_kept_and_is_secure_where_the_page_is(inside, tmp_path) -> None:
    keeping = AuthMiddleware(inside, WebSettings(host="0.0.0.0", gallery=tmp_path))
    cookie = ask(keeping, host="a", x_forwarded_proto="https").all("set-cookie")[1]
    assert cookie.endswith("; Path=/; HttpOnly; SameSite=Lax; Max-Age=31536000; Secure")


@pytest.mark.parametrize("key", ["../../etc", "a" * 42, "a" * 44, "a" * 42 + "/", "ä" * 43, "a" * 5000, "a" * 42 + "."])
def test_keys_that_are_none_of_ours_are_replaced(here, key) -> None:
    assert not is_key(key)
    assert len(ask(here, host="localhost", cookie=f"{VISITOR_COOKIE}={key}").all("set-cookie")) == 2


def test_answers_cannot_be_framed_or_sniffed(here, closed) -> None:
    for answer in (ask(here, host="localhost"), ask(here, host="evil"), ask(closed, host="a", query="token=" + SECRET)):
        assert answer.all("x-content-type-options") == ["nosniff"]
        assert answer.all("content-security-policy") == ["frame-ancestors 'self'"]
        assert answer.all("permissions-policy") == ["camera=(self), microphone=(), geolocation=()"]
