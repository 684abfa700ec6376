"""What is selected on the map comes from a browser; what exists of it is taught or relabeled as one lesson."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.gallery import TaughtGallery
from moodspace.index.taught.user_gallery import open_gallery
from moodspace.web.components import map_selection
from moodspace.web.components.map_selection import Selection, selection, teach_selected
from moodspace.web.components.teaching import TeachError
from tests.web.looked_at import RECOGNIZER

IDS = RECOGNIZER.bundle.index.gallery.ids
DIM = RECOGNIZER.bundle.encoder.dim


class Someone:
    """A visitor, as far as a selection needs one."""

    def __init__(self, gallery: TaughtGallery) -> None:
        self.gallery, self.recognizer = gallery, RECOGNIZER


@pytest.fixture
def visitor(tmp_path: Path) -> Iterator[Any]:
    with open_gallery(tmp_path / "gallery", RECOGNIZER.bundle.encoder_spec, create=True) as opened:
        yield Someone(opened)


def own(visitor: Any, n: int, label: str) -> tuple[int, ...]:
    rows = -np.eye(n, DIM, dtype=np.float32)
    return visitor.gallery.add(NewFaces(rows, [label] * n, ["live"] * n, [""] * n)).ids


def select(visitor: Any, *ids: object) -> Selection:
    return selection(visitor, [str(one) for one in ids])


def test_what_does_not_exist_is_not_selected(visitor) -> None:
    taught = own(visitor, 2, "wink")
    chosen = selection(visitor, [str(IDS[0]), str(IDS[0]), str(taught[1]), "99999", "-1", "x", 3, None, "9" * 40, "³"])
    assert chosen.rows.tolist() == [0] and chosen.taught.tolist() == [taught[1]] and len(chosen) == 2
    assert chosen.summary == "2 faces selected: 1 from the gallery and 1 that you taught"
    assert not len(selection(visitor, []))


def test_one_lesson_teaches_and_relabels_and_one_undo_takes_it_back(visitor) -> None:
    taught = own(visitor, 2, "wink")
    chosen = select(visitor, *IDS[:3], taught[0])
    assert chosen.action == "Teach 3 and relabel 1 faces"
    assert teach_selected(visitor, chosen, "Puzzled") == "puzzled: 3 taught, 1 relabeled."
    assert visitor.gallery.summary().labels == {"puzzled": 4, "wink": 1}
    undone = visitor.gallery.undo()
    assert undone.labels == {"puzzled": 4} and undone.restored == {"wink": 1}
    assert visitor.gallery.summary().labels == {"wink": 2}


def test_a_gallery_face_is_taught_once(visitor) -> None:
    chosen = select(visitor, *IDS[:2])
    teach_selected(visitor, chosen, "puzzled")
    with pytest.raises(TeachError, match="expected faces that are not taught as puzzled yet"):
        teach_selected(visitor, chosen, "puzzled")
    assert teach_selected(visitor, select(visitor, *IDS[1:3]), "puzzled") == "puzzled: 1 taught."


def test_too_many_and_no_name_are_refused(visitor, monkeypatch) -> None:
    monkeypatch.setattr(map_selection, "MOST_TAUGHT", 2)
    with pytest.raises(TeachError, match="expected at most 2 gallery faces, got 3; select fewer"):
        teach_selected(visitor, select(visitor, *IDS[:3]), "puzzled")
    with pytest.raises(TeachError, match="expected the name of a class"):
        teach_selected(visitor, select(visitor, *IDS[:1]), " ")
    assert len(visitor.gallery) == 0
