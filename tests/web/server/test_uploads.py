"""What one visitor's files may take of the memory, all in all, and that nobody's page takes none."""

from types import SimpleNamespace

import pytest
from starlette.requests import Request
from starlette.responses import Response

from moodspace.web.server.middleware import UPLOAD_PATH, UploadQuotaMiddleware, held_by_streamlit
from moodspace.web.server.settings import Limits
from tests.web.asgi import ask

KB = 2**10
LIMITS = Limits(upload_bytes=10 * KB, video_bytes=20 * KB, held_bytes=2**20 + 50 * KB)


class Page:
    """Visitors of whom two are there, one with two pages, and what keeps their files."""

    def __init__(self) -> None:
        self.anna = SimpleNamespace(scripts={"tab", "other-tab"}, uploading=0)
        self.ben = SimpleNamespace(scripts={"bens"}, uploading=0)
        self.settings = SimpleNamespace(limits=LIMITS)
        self.kept: dict[str, int] = {}
        self.app = UploadQuotaMiddleware(self.keep, lambda: self, lambda ids: sum(self.kept.get(one, 0) for one in ids))

    def with_script(self, script: str):
        return next((one for one in (self.anna, self.ben) if script in one.scripts), None)

    async def keep(self, scope, receive, send) -> None:
        if scope["method"] == "PUT" and scope["path"].startswith(UPLOAD_PATH):
            session = scope["path"].split("/")[3]
            self.kept[session] = self.kept.get(session, 0) + len(await Request(scope, receive).body())
        await Response(status_code=204)(scope, receive, send)

    def put(self, session: str, size: int, **headers: str):
        body = (bytes(size),)
        return ask(
            self.app, f"{UPLOAD_PATH}{session}/file", method="PUT", body=body, content_length=str(size), **headers
        )


@pytest.fixture
def page():
    return Page()


def test_files_are_taken_as_long_as_there_is_room_on_all_pages_of_a_visitor_together(page) -> None:
    assert [page.put(tab, 2**19).status for tab in ("tab", "other-tab", "tab")] == [204, 204, 413]
    refusal = page.put("tab", 2**19)
    assert b"remove some" in refusal.body and refusal.all("connection") == ["close"]
    assert page.put("tab", 40 * KB).status == 204  # as much as there is left
    assert page.put("bens", 2**19).status == 204  # for others nothing has changed
    page.kept.clear()
    assert page.put("tab", 2**19).status == 204


def test_files_that_are_on_their_way_count(page) -> None:
    page.anna.uploading = 2**20
    assert page.put("tab", 60 * KB).status == 413
    assert page.put("tab", 40 * KB).status == 204 and page.anna.uploading == 2**20


def test_who_does_not_say_how_much_comes_needs_room_for_the_most(page) -> None:
    path = f"{UPLOAD_PATH}tab/file"
    assert ask(page.app, path, method="PUT", body=(b"x",)).status == 204
    page.kept["other-tab"] = 40 * KB
    assert ask(page.app, path, method="PUT", body=(b"x",)).status == 413


def test_no_file_may_be_larger_than_the_largest(page) -> None:
    size = 2**20 + 21 * KB
    assert page.put("tab", size).status == 413 and not page.kept


@pytest.mark.parametrize("session", ["", "nobodys", "..", "tab%2F"])
def test_nobodys_pages_take_no_files(page, session) -> None:
    assert page.put(session, 1).status == 403 and not page.kept


def test_what_fails_on_its_way_no_longer_counts(page) -> None:
    async def gone(scope, receive, send) -> None:
        raise ConnectionError

    page.app.app = gone
    with pytest.raises(ConnectionError):
        page.put("tab", 10)
    assert page.anna.uploading == 0


def test_all_else_passes(page) -> None:
    assert ask(page.app, f"{UPLOAD_PATH}nobodys/file", method="DELETE").status == 204
    assert ask(page.app, "/photo", method="PUT").status == 204

    async def socket(scope, receive, send) -> None:
        await send({"type": "websocket.close", "code": 4000})

    assert ask(UploadQuotaMiddleware(socket, lambda: page), f"{UPLOAD_PATH}tab/file", kind="websocket").close == 4000


def test_what_streamlit_keeps_is_counted(monkeypatch) -> None:
    from streamlit import runtime
    from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager
    from streamlit.runtime.uploaded_file_manager import UploadedFileRec

    manager = MemoryUploadedFileManager("/upload")
    for session, name, size in (("a", "1", 10), ("a", "2", 5), ("b", "1", 100), ("c", "1", 7)):
        manager.add_file(session, UploadedFileRec(name, "x.jpg", "image/jpeg", bytes(size)))
    monkeypatch.setattr(runtime, "get_instance", lambda: SimpleNamespace(uploaded_file_mgr=manager))
    assert held_by_streamlit(["a", "c", "nobodys"]) == 22
    assert held_by_streamlit([]) == 0
