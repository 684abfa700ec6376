"""Tests of web/site/serve.py: types, headers, sub-paths, and nothing but the site."""

import gzip
import http.client
import json
from pathlib import Path

import pytest

from moodspace.web.site.serve import POLICY, SiteError, SiteServer
from tests.web.site.engine import served


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html>")
    (folder / "site.json").write_text(json.dumps({"format": "moodspace-site"}))
    for name in ("app.js", "app.css", "litert.wasm", "encoder.bin", "icon.svg", "icon.png"):
        (folder / "assets" / name).write_bytes(b"content " * 100)
    (tmp_path / "secret.txt").write_text("secret")
    return folder


def get(server: SiteServer, path: str, method: str = "GET", **headers: str) -> tuple[int, dict[str, str], bytes]:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=20)
    connection.putrequest(method, path, skip_accept_encoding=True)
    for name, value in headers.items():
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    body = answer.read()
    connection.close()
    return answer.status, {name.lower(): value for name, value in answer.getheaders()}, body


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "text/html; charset=utf-8"),
        ("/index.html", "text/html; charset=utf-8"),
        ("/assets/app.js", "text/javascript; charset=utf-8"),
        ("/assets/app.css", "text/css; charset=utf-8"),
        ("/assets/litert.wasm", "application/wasm"),
        ("/assets/encoder.bin", "application/octet-stream"),
        ("/assets/icon.svg", "image/svg+xml"),
        ("/assets/icon.png", "image/png"),
        ("/site.json?x=1", "application/json; charset=utf-8"),
    ],
)
def test_each_file_has_its_type_and_the_policy(site: Path, path: str, kind: str) -> None:
    with served(site) as server:
        status, headers, body = get(server, path)
    assert (status, headers["content-type"]) == (200, kind) and body
    assert headers["content-security-policy"] == POLICY and headers["x-content-type-options"] == "nosniff"
    assert "immutable" in headers["cache-control"] if "/assets/" in path else headers["cache-control"] == "no-cache"
    assert "cross-origin-opener-policy" not in headers


def test_isolation_is_sent_where_it_is_asked_for(site: Path) -> None:
    with served(site, isolated=True) as server:
        headers = get(server, "/")[1]
    assert headers["cross-origin-opener-policy"] == "same-origin"
    assert headers["cross-origin-embedder-policy"] == "require-corp"


def test_the_page_and_the_server_have_the_same_policy() -> None:
    page = (Path(__file__).parents[3] / "web" / "browser" / "static" / "index.html").read_text()
    in_page = POLICY.removesuffix("; frame-ancestors 'none'")
    assert f'content="{in_page}"' in page


@pytest.mark.parametrize(
    "path",
    [
        "/../secret.txt",
        "/%2e%2e/secret.txt",
        "/assets/../../secret.txt",
        "/assets/",
        "/none",
        "//etc/passwd",
        "/%00",
        "x",
    ],
)
def test_nothing_else_is_served(site: Path, path: str) -> None:
    with served(site) as server:
        status, headers, body = get(server, path)
    assert status == 404 and b"secret" not in body and headers["content-security-policy"] == POLICY


def test_a_link_out_of_the_site_is_not_followed(site: Path) -> None:
    (site / "out.txt").symlink_to(site.parent / "secret.txt")
    with served(site) as server:
        assert get(server, "/out.txt")[0] == 404


def test_a_sub_path_is_the_only_way_in(site: Path) -> None:
    with served(site, path="/a/b/") as server:
        assert get(server, "/a/b/")[0] == get(server, "/a/b/assets/app.js")[0] == 200
        assert get(server, "/")[0] == get(server, "/assets/app.js")[0] == 404
        assert server.address.endswith("/a/b/")


def test_head_has_the_length_and_no_body(site: Path) -> None:
    with served(site) as server:
        status, headers, body = get(server, "/assets/app.js", "HEAD")
        assert get(server, "/assets/app.js", "POST")[0] == 501
    assert (status, headers["content-length"], body) == (200, "800", b"")


def test_other_machines_get_compressed_files(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("moodspace.web.site.serve._LOCAL", ())
    with served(site) as server:
        status, headers, body = get(server, "/assets/app.js", **{"Accept-Encoding": "gzip, br"})
        assert (status, headers["content-encoding"]) == (200, "gzip")
        assert gzip.decompress(body) == b"content " * 100 and int(headers["content-length"]) == len(body)
        assert "content-encoding" not in get(server, "/assets/app.js")[1]
        assert "content-encoding" not in get(server, "/assets/icon.png", **{"Accept-Encoding": "gzip"})[1]


def test_what_cannot_be_served_is_said_in_one_line(site: Path, tmp_path: Path) -> None:
    with pytest.raises(SiteError, match="expected a site, got none; write it: moodspace web --static"):
        SiteServer(tmp_path / "none")
    with served(site) as server, pytest.raises(SiteError, match="expected a free port"):
        SiteServer(site, port=server.server_port)
    with pytest.raises(SiteError, match="expected"):
        SiteServer(site, host="192.0.2.1")
