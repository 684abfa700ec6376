"""Visitors: each with a gallery of its own, forgotten when it leaves, and none by a path of its own making."""

import hashlib
import re
import threading
import time
from types import SimpleNamespace

import numpy as np
import pytest

from moodspace.classifier.face_pictures import FacePictures
from moodspace.index.taught.faces import NewFaces
from moodspace.web.live.messages import FrameMessage
from moodspace.web.live.worker import LiveWorker
from moodspace.web.server import private_folder as private
from moodspace.web.server import visitors
from moodspace.web.server.identity import VISITOR_COOKIE, Tickets
from moodspace.web.server.settings import Limits, WebSettings
from moodspace.web.server.visitors import Visitors, VisitorsError
from tests.realtime.fakes import FakeDetector, faces_at
from tests.web.hostile import JPEG
from tests.web.looked_at import RECOGNIZER

ANNA, BEN, CARL = ("A" * 43, "B" * 43, "-_" * 21 + "C")
FACE = RECOGNIZER.bundle.index.gallery.embeddings[:1]
PATIENCE_S = 30.0


@pytest.fixture(autouse=True)
def memory(tmp_path, monkeypatch):
    """The only place where visitors may leave anything."""
    path = tmp_path / "memory"
    path.mkdir()
    monkeypatch.setattr(private, "_MEMORY", path)
    return path


@pytest.fixture
def opened():
    """Opens visitors with a stand-in for the engine; the Streamlit sessions in `active` have a browser."""
    all_ = []

    def open_(*active: str, absence: float = 0.05, patience: float = 2.0, **settings) -> Visitors:
        engine = SimpleNamespace(
            bundle=RECOGNIZER.bundle, labels=None, pictures=FacePictures.none(), close=lambda: None
        )
        times = {"absence": absence, "look_every": 0.01, "patience": patience}
        one = Visitors(WebSettings(**settings), engine, set(active).__contains__, **times)
        all_.append(one)
        return one

    yield open_
    for one in all_:
        one.close()


def teach(visitor, label: str = "confused") -> None:
    visitor.gallery.add(NewFaces(FACE, [label], ["a.png"], [""]))


def until(true) -> bool:
    end = time.monotonic() + PATIENCE_S
    while not true() and time.monotonic() < end:
        time.sleep(0.01)
    return bool(true())


def connection(query: dict[str, str] | None = None, cookie: str = ""):
    return SimpleNamespace(query_params=query or {}, cookies={VISITOR_COOKIE: cookie} if cookie else {})


def test_tabs_of_one_browser_are_one_visitor_and_two_browsers_two(opened) -> None:
    all_ = opened("tab")
    anna, ben = all_.visit(ANNA, "tab"), all_.visit(BEN, "tab")
    assert all_.visit(ANNA) is anna is not ben and len(all_) == 2


def test_nobody_sees_what_another_taught(opened) -> None:
    all_ = opened("tab")
    anna, ben = all_.visit(ANNA, "tab"), all_.visit(BEN, "tab")
    teach(anna)
    assert "confused" in anna.classes and "confused" not in ben.classes
    assert len(anna.gallery) == 1 and not len(ben.gallery)
    assert anna.gallery.folder != ben.gallery.folder and anna.stamp != ben.stamp


def test_who_is_absent_is_forgotten_with_all_it_left(opened, memory) -> None:
    all_ = opened("tab")
    anna, ben = all_.visit(ANNA), all_.visit(BEN, "tab")
    with anna.in_use():
        teach(anna)
        folder = anna.gallery.folder
        assert folder.is_relative_to(memory) and folder.is_dir()
    assert until(lambda: not folder.exists())
    assert all_.known(ANNA) is None and all_.known(BEN) is ben
    assert not len(all_.visit(ANNA).gallery)


def test_who_is_live_or_has_a_page_stays(opened) -> None:
    all_ = opened("tab")
    live, page = all_.visit(ANNA), all_.visit(BEN, "tab")
    live.live = 1
    time.sleep(0.2)
    assert all_.known(ANNA) is live and all_.known(BEN) is page
    live.live = 0
    assert until(lambda: all_.known(ANNA) is None) and all_.known(BEN) is page


def test_one_who_cannot_be_forgotten_does_not_keep_the_others(opened, caplog) -> None:
    all_ = opened()
    all_.visit(ANNA).gallery.close = lambda: 1 // 0
    all_.visit(BEN)
    assert until(lambda: not len(all_)) and "not been forgotten" in caplog.text
    assert ANNA not in caplog.text


@pytest.mark.parametrize("fails", ["active", "leave"])
def test_what_goes_wrong_with_one_does_not_end_the_watch(opened, caplog, monkeypatch, fails) -> None:
    all_ = opened()
    anna, failures = all_.visit(ANNA, "tab"), []

    def fail(*_) -> bool:
        failures.append(1)
        raise RuntimeError("the event loop is closed")

    if fails == "active":
        monkeypatch.setattr(all_, "_active", fail)
    else:
        monkeypatch.setattr(anna, "leave", fail)
    assert until(lambda: len(failures) > 2) and "still there" in caplog.text  # it tries again
    monkeypatch.undo()
    all_.visit(BEN)
    assert until(lambda: not len(all_)) and all_._watch.is_alive()
    assert ANNA not in caplog.text


def test_who_leaves_while_a_request_is_answered_is_forgotten_after_it(opened) -> None:
    all_ = opened()
    anna = all_.visit(ANNA)
    with anna.in_use():
        time.sleep(0.3)  # far beyond the absence
        assert all_.known(ANNA) is anna and len(anna.gallery) == 0 and anna.gallery.generation == 0
    assert until(lambda: all_.known(ANNA) is None) and anna.gone
    with pytest.raises(VisitorsError, match="visit has ended"), anna.in_use():
        pytest.fail("expected nothing of a visitor that is gone to be used")


def test_a_frame_is_analyzed_to_its_end_before_its_visitor_is_forgotten_and_not_after(opened) -> None:
    all_ = opened()
    anna = all_.visit(ANNA)
    teach(anna)
    seen = []

    class Detector(FakeDetector):
        def detect(self, frame_bgr):
            time.sleep(0.3)  # far beyond the absence
            seen.append(anna.gone)
            return super().detect(frame_bgr)

    anna.engine.detector = Detector(faces_at((10, 5, 40, 50)))
    worker = LiveWorker(anna)
    assert len(worker.analyze(FrameMessage(0, 0.0, JPEG), 0.0)["faces"]) == 1 and seen == [False]
    assert until(lambda: all_.known(ANNA) is None) and anna.gone
    with pytest.raises(VisitorsError, match="visit has ended"):
        worker.analyze(FrameMessage(1, 0.0, JPEG), 1.0)
    assert seen == [False]


def test_the_end_waits_for_a_request_but_not_for_ever(opened) -> None:
    all_, entered, ended = opened("tab", absence=60.0, patience=0.2), threading.Event(), []

    def request(visitor, takes: float) -> None:
        with visitor.in_use():
            entered.set()
            time.sleep(takes)
            ended.append(visitor)

    quick, slow = all_.visit(ANNA, "tab"), all_.visit(BEN, "tab")
    threads = [threading.Thread(target=request, args=(one, s), daemon=True) for one, s in ((quick, 0.1), (slow, 5.0))]
    for thread in threads:
        thread.start()
    entered.wait(PATIENCE_S)
    began = time.monotonic()
    all_.close()
    assert ended == [quick] and time.monotonic() - began < 4 and slow.gone


def test_pages_that_come_while_others_go_are_counted(opened) -> None:
    all_ = opened(*map(str, range(1000)))
    threads = [
        threading.Thread(target=lambda at=at: [all_.visit(ANNA, str(one)) for one in range(at, 1000, 4)])
        for at in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(all_.visit(ANNA).scripts) == 1000


def test_when_all_places_are_taken_the_next_one_reads_so(opened) -> None:
    all_ = opened("tab", limits=Limits(visitors=2))
    first = [all_.visit(key, "tab") for key in (ANNA, BEN)]
    with pytest.raises(VisitorsError, match="all 2 places are taken; try again"):
        all_.visit(CARL)
    assert all_.visit(ANNA) is first[0]


@pytest.mark.parametrize(
    "key", ["", "../../../etc/passwd", "a" * 42, "a" * 44, "../" * 14 + "a", "ä" * 43, "a" * 42 + "\0", "x" * 10**6]
)
def test_keys_that_are_none_make_no_visitor(opened, memory, key) -> None:
    all_ = opened()
    with pytest.raises(VisitorsError):
        all_.visit(key)
    assert not len(all_) and not list(memory.rglob("*")) and not all_.key_of(connection(cookie=key))


def test_what_is_kept_lies_under_a_name_that_tells_no_key(opened, tmp_path) -> None:
    kept = tmp_path / "kept"
    all_ = opened("tab", gallery=kept)
    teach(all_.visit(CARL, "tab"))
    assert [path.name for path in kept.iterdir()] == [hashlib.sha256(CARL.encode()).hexdigest()]
    assert not any(
        CARL in path.name or CARL.encode() in path.read_bytes() for path in kept.rglob("*") if path.is_file()
    )


def test_it_is_there_again_after_a_restart_for_the_same_browser_only(opened, tmp_path) -> None:
    kept = tmp_path / "kept"
    first = opened("tab", gallery=kept)
    teach(first.visit(ANNA, "tab"))
    first.visit(BEN, "tab")
    first.close()
    assert len(list(kept.iterdir())) == 1  # nothing of who taught nothing
    again = opened("tab", gallery=kept)
    assert len(again.visit(ANNA).gallery) == 1 and not len(again.visit(BEN).gallery)


def test_the_end_leaves_nothing(opened, memory) -> None:
    all_ = opened("tab")
    teach(all_.visit(ANNA, "tab"))
    assert list(memory.iterdir())
    all_.close()
    assert not list(memory.iterdir())


def test_a_ticket_tells_who_asks_once(opened) -> None:
    all_ = opened("tab")
    first, second = (all_.ticket(all_.visit(ANNA, "tab")) for _ in range(2))
    assert first != second and re.fullmatch(r"[\w-]{43}", first) and ANNA not in first
    assert all_.key_of(connection({"visit": first}, BEN)) == ANNA
    assert all_.key_of(connection({"visit": first}, BEN)) == ""
    assert all_.key_of(connection({"visit": "made up"})) == ""
    assert all_.key_of(connection(cookie=BEN)) == BEN and all_.key_of(connection()) == ""


def test_a_ticket_does_not_last() -> None:
    given = Tickets(lifetime=0.0)
    assert given.redeem(given.issue(ANNA)) is None
    given.issue(BEN)
    assert len(given) == 1  # what is over is not kept


@pytest.fixture
def script(opened, monkeypatch):
    """A page's script: the cookies that arrive, what its session keeps, and the visitors."""
    import streamlit

    page = SimpleNamespace(cookies={}, state={}, all=opened("tab"))
    monkeypatch.setattr(streamlit, "context", page)
    monkeypatch.setattr(streamlit, "session_state", page.state)
    monkeypatch.setattr(visitors, "all_visitors", lambda: page.all)
    return page


def test_a_page_belongs_to_the_browser_whose_cookie_arrives(script) -> None:
    script.cookies[VISITOR_COOKIE] = ANNA
    assert visitors.this_visitor() is script.all.known(ANNA)
    assert visitors.visit_path("/moodspace/live") == "/moodspace/live" and not script.state


@pytest.mark.parametrize("cookies", [{}, {VISITOR_COOKIE: "../../etc"}, {VISITOR_COOKIE: ""}])
def test_where_none_arrives_each_page_is_a_visitor_with_tickets(script, cookies) -> None:
    script.cookies.update(cookies)
    visitor = visitors.this_visitor()
    assert visitors.this_visitor() is visitor and len(script.all) == 1
    path, ticket = visitors.visit_path("/moodspace/map?generation=1").split("&visit=")
    assert path == "/moodspace/map?generation=1"
    assert visitors.visitor_of(connection({"visit": ticket})) is visitor
    assert visitors.visit_path("/moodspace/live").startswith("/moodspace/live?visit=")
    script.state.clear()
    assert visitors.this_visitor() is not visitor


def test_faces_of_one_visitor_do_not_change_what_another_is_told(opened) -> None:
    all_ = opened("tab")
    anna, ben = all_.visit(ANNA, "tab"), all_.visit(BEN, "tab")
    crops = np.full((1, 48, 48), 90, np.uint8)
    before = ben.recognizer.predict(crops).proba
    anna.gallery.add(NewFaces(RECOGNIZER.bundle.encoder.encode(crops).embeddings, ["confused"], ["a.png"], [""]))
    assert "confused" in anna.recognizer.predict(crops).classes
    after = ben.recognizer.predict(crops)
    assert np.array_equal(after.proba, before) and "confused" not in after.classes
