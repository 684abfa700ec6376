"""The route of the map: whom it serves, what travels, and that it travels once."""

import asyncio
import gzip
from contextlib import nullcontext
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from starlette.requests import Request

from moodspace.classifier.face_pictures import FacePictures
from moodspace.classifier.recognizer import Recognizer
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.user_gallery import open_gallery
from moodspace.web.components import map as map_route
from moodspace.web.server.visitors import VisitorsError
from tests.web.looked_at import RECOGNIZER

GALLERY = RECOGNIZER.bundle.index.gallery
PLACES = np.random.default_rng(1).normal(size=(len(GALLERY), 2)).astype(np.float32)
WITH_MAP = Recognizer(replace(RECOGNIZER.bundle, map_coordinates=PLACES, meta={"metrics": {}}))


@pytest.fixture
def visitor(tmp_path, monkeypatch):
    with open_gallery(tmp_path / "gallery", WITH_MAP.bundle.encoder_spec, create=True) as gallery:
        engine = SimpleNamespace(pictures=FacePictures.none())
        one = SimpleNamespace(gallery=gallery, recognizer=WITH_MAP, in_use=nullcontext, engine=engine)
        monkeypatch.setattr(map_route, "visitor_of", lambda request: one)
        yield one


def get(**headers: str):
    scope = {"type": "http", "method": "GET", "path": map_route.PATH, "query_string": b""}
    scope["headers"] = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return asyncio.run(map_route.map_route().endpoint(Request(scope)))


def test_who_has_no_visit_gets_no_map(monkeypatch) -> None:
    monkeypatch.setattr(map_route, "visitor_of", lambda request: None)
    assert get().status_code == 403


def test_the_map_travels_packed_and_closed(visitor) -> None:
    response = get()
    assert response.status_code == 200 and response.headers["content-encoding"] == "gzip"
    assert f"{len(GALLERY)} faces" in gzip.decompress(response.body).decode()
    policy = response.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'") and "frame-ancestors 'self'" in policy


def test_it_travels_again_only_when_something_was_taught(visitor) -> None:
    stamp = get().headers["etag"]
    again = get(if_none_match=stamp)
    assert again.status_code == 304 and not again.body
    visitor.gallery.add(NewFaces(GALLERY.embeddings[:1], ["confused"], ["a.png"], [""]))
    changed = get(if_none_match=stamp)
    assert changed.status_code == 200 and "confused" in gzip.decompress(changed.body).decode()


@pytest.mark.parametrize(
    ("error", "status", "words"),
    [
        (VisitorsError("your visit has ended"), 410, "visit has ended"),
        (StorageError("/srv/secret: expected an open gallery, got a closed one"), 503, "right now"),
    ],
)
def test_a_visitor_who_leaves_meanwhile_gets_a_clean_answer(visitor, error, status, words) -> None:
    def gone():
        raise error

    visitor.in_use = gone
    response = get()
    body = bytes(response.body).decode()
    assert response.status_code == status and words in body
    assert "secret" not in body and "free some" not in body


def test_a_bundle_without_a_map_says_how_to_draw_one(visitor) -> None:
    visitor.recognizer = Recognizer(replace(WITH_MAP.bundle, map_coordinates=None))
    assert "moodspace visualize" in gzip.decompress(get().body).decode()
