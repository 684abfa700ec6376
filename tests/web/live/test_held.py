"""The examples that a live connection collects: told, dropped, discarded, and taught as one lesson."""

from collections.abc import Iterator
from pathlib import Path
from threading import RLock
from typing import Any

import numpy as np
import pytest

from moodspace.index.taught.gallery import TaughtGallery
from moodspace.index.taught.user_gallery import open_gallery
from moodspace.realtime.pipeline import LiveResult
from moodspace.web.components.teaching import TeachError
from moodspace.web.live.held import HeldLesson
from tests.realtime.fakes import faces_at, noise
from tests.realtime.live_results import PlainPipeline
from tests.web.looked_at import RECOGNIZER


class Someone:
    """A visitor, as far as a lesson needs one."""

    def __init__(self, gallery: TaughtGallery) -> None:
        self.gallery, self.recognizer, self.lock = gallery, RECOGNIZER, RLock()


@pytest.fixture
def gallery(tmp_path: Path) -> Iterator[TaughtGallery]:
    with open_gallery(tmp_path / "gallery", RECOGNIZER.bundle.encoder_spec, create=True) as opened:
        yield opened


@pytest.fixture
def lesson(gallery: TaughtGallery) -> HeldLesson:
    visitor: Any = Someone(gallery)
    return HeldLesson(visitor)


PIPELINE = PlainPipeline(RECOGNIZER, faces_at((10, 10, 40, 40), (60, 10, 40, 40)))


def seen(at: int) -> tuple[np.ndarray, LiveResult]:
    frame = noise(seed=at)
    return frame, PIPELINE.process(frame, float(at))


def test_examples_are_told_as_they_come_and_all_at_the_end(lesson: HeldLesson) -> None:
    assert lesson.offer(*seen(0)) is None, "nothing was asked for"
    assert lesson.collect(1) == {"type": "examples", "on": True, "share": 0.0, "numbers": [], "examples": []}
    told = [lesson.offer(*seen(at)) for at in range(3)]
    assert [one["numbers"] for one in told if one] == [[1], [1, 2], [1, 2, 3]]
    assert [len(one["added"]) for one in told if one] == [1, 1, 1]
    stopped = lesson.collect(None)
    assert not stopped["on"] and [one["number"] for one in stopped["examples"]] == [1, 2, 3]
    assert all(one["picture"].startswith("data:image/png;base64,") for one in stopped["examples"])
    later = lesson.offer(*seen(9))
    assert later is not None and later["numbers"] == [1, 2, 3] and not later["on"] and not later["added"]
    assert lesson.drop(2)["numbers"] == [1, 3]
    assert lesson.collect(1)["numbers"] == [1, 3], "more can be collected"


def test_a_full_ring_stops(lesson: HeldLesson) -> None:
    lesson.collect(2)
    told = [lesson.offer(*seen(at)) for at in range(40)]
    assert told[-1] is not None and told[-1]["share"] == 1 and not told[-1]["on"]


def test_a_face_that_is_gone_is_told(lesson: HeldLesson) -> None:
    lesson.collect(7)
    told = lesson.offer(*seen(0))
    assert told is not None and told["on"] and told["hint"] == "the face cannot be read"


@pytest.mark.parametrize("keep", [False, True])
def test_examples_are_taught_as_one_lesson(lesson: HeldLesson, gallery: TaughtGallery, keep: bool) -> None:
    lesson.collect(1)
    for at in range(4):
        lesson.offer(*seen(at))
    lesson.drop(1)
    with pytest.raises(TeachError, match="expected the name of a class"):
        lesson.teach(" ", keep_pictures=keep)
    assert lesson.teach("Smirk", keep_pictures=keep) == ("smirk", 3)
    (rows,) = gallery.rows()
    assert len(gallery.pictures(rows.ids)) == (3 if keep else 0)
    assert lesson.examples()["numbers"] == [] and lesson.offer(*seen(9)) is None
    with pytest.raises(TeachError, match="expected examples to teach, got none"):
        lesson.teach("smirk", keep_pictures=keep)
    undone = gallery.undo()
    assert undone is not None and undone.labels == {"smirk": 3} and len(gallery) == 0


def test_everything_can_be_discarded(lesson: HeldLesson) -> None:
    lesson.collect(1)
    lesson.offer(*seen(0))
    assert lesson.discard()["examples"] == [] and lesson.offer(*seen(1)) is None
