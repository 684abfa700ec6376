"""Teaching by upload, without a browser: names, lessons, a gallery as a file."""

import numpy as np
import pytest

from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.user_gallery import open_gallery
from moodspace.realtime.session.file import SessionError
from moodspace.web.components.photos import candidates, chosen, crop_picture
from moodspace.web.components.teaching import (
    MOST_BYTES,
    MOST_FACES,
    Example,
    TeachError,
    class_name,
    exported,
    imported,
    public_message,
    teach,
)
from tests.web.looked_at import RECOGNIZER, recognize

BUNDLE = RECOGNIZER.bundle
BGR = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)


@pytest.fixture
def gallery(tmp_path):
    with open_gallery(tmp_path / "gallery", BUNDLE.encoder_spec, create=True) as opened:
        yield opened


@pytest.fixture
def examples() -> list[Example]:
    found = candidates("party.png", BGR, recognize(BGR), BUNDLE.geometry)
    return chosen([(found, 0), (found, 1)], BUNDLE.encoder.encode)


@pytest.mark.parametrize(
    ("typed", "name"), [(" Confused ", "confused"), ("Happiness", "happy"), ("verwirrt ☹", "verwirrt ☹"), ("é", "é")]
)
def test_a_class_has_one_name(typed, name) -> None:
    assert class_name(typed) == name


@pytest.mark.parametrize(
    ("typed", "words"),
    [("  ", "got none"), ("x" * 41, "at most 40 characters, got 41"), ("a\x07b", "control character")],
)
def test_other_names_are_refused_public_message(typed, words) -> None:
    with pytest.raises(TeachError, match=words):
        class_name(typed)


def test_the_largest_face_comes_first_and_is_shown_as_the_network_sees_it() -> None:
    found = candidates("party.png", BGR, recognize(BGR), BUNDLE.geometry)
    sizes = recognize(BGR).faces.xywh[:, 2:].prod(axis=1)
    assert len(found.crops) == 2 and sizes[0] > sizes[1]
    reverse = recognize(BGR)
    reverse = type(reverse)(0.0, reverse.faces.take([1, 0]), reverse.prediction, {})
    np.testing.assert_array_equal(candidates("", BGR, reverse, BUNDLE.geometry).crops, found.crops)
    assert crop_picture(found.crops[0]).startswith(b"\x89PNG")


def test_taught_faces_are_in_the_gallery_and_undone_together(gallery, examples) -> None:
    assert teach(gallery, "confused", examples).summary == "2 faces taught"
    assert gallery.summary().labels == {"confused": 2}
    assert gallery.undo().labels == {"confused": 2} and len(gallery) == 0


def test_no_face_is_taught_twice_or_as_two_things(gallery, examples) -> None:
    teach(gallery, "confused", examples[:1])
    assert teach(gallery, "confused", [*examples, examples[1]]).summary == "1 face taught, 2 already known"
    assert "2 skipped" in teach(gallery, "sad", examples).summary
    assert gallery.summary().labels == {"confused": 2}


def test_nothing_chosen_teaches_nothing(gallery) -> None:
    assert chosen([], BUNDLE.encoder.encode) == []
    assert teach(gallery, "confused", []).taught == 0


def test_a_gallery_has_an_end(gallery, examples) -> None:
    with pytest.raises(TeachError, match="at most 1 taught faces, got 2; forget"):
        teach(gallery, "confused", examples, most=1)
    assert len(gallery) == 0 and MOST_FACES > 100


def test_a_gallery_leaves_as_a_file_and_comes_back(gallery, examples, tmp_path) -> None:
    teach(gallery, "confused", examples)
    content = exported(gallery)
    assert imported(gallery, content) == (0, 2)
    with open_gallery(tmp_path / "other", BUNDLE.encoder_spec, create=True) as other:
        assert imported(other, content) == (2, 0)
        assert other.summary().labels == {"confused": 2}


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1" + bytes(500) + b"PAR1", b"\x89PNG" * 100])
def test_other_files_are_refused_without_a_path(gallery, content) -> None:
    with pytest.raises(TeachError, match=r"^expected an exported gallery") as refused:
        imported(gallery, content)
    assert "moodspace-" not in str(refused.value) and len(gallery) == 0


def test_a_file_may_not_be_larger_than_a_full_gallery_is(gallery) -> None:
    with pytest.raises(TeachError, match="at most 4 MB"):
        imported(gallery, bytes(MOST_BYTES + 1))
    # The room that a full gallery takes, names of files and all.
    assert 2 * MOST_FACES * (4 * 128 + 200) < MOST_BYTES


def test_a_file_may_not_bring_more_than_there_is_room_for(gallery, examples) -> None:
    teach(gallery, "confused", examples)
    content = exported(gallery)
    gallery.undo()
    with pytest.raises(TeachError, match="expected room for 2 faces, got room for 1"):
        imported(gallery, content, most=1)


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (StorageError("/srv/moodspace/x: expected an open gallery, got a closed one"), "cannot be read or changed"),
        (GalleryError("/srv/moodspace/x: expected a gallery, got a damaged file"), "cannot be read or changed"),
        (SessionError("/srv/moodspace/x: expected to record the session, could not"), "nothing can be recorded"),
        (SessionError("your last recording is still there"), "your last recording is still there"),
        (TeachError("expected the name of a class, got none"), "got none"),
    ],
)
def test_what_a_visitor_reads_names_no_folder_of_the_server(error, words) -> None:
    told = public_message(error)
    assert words in told and "/srv" not in told and "\n" not in told
