"""Tests of `index_gallery`: when it creates a gallery, rebuilds it, or does neither."""

import pytest

from moodspace.embeddings.data.labelled import DataError
from moodspace.index.ingest.rebuild import index_gallery
from moodspace.index.store.commit import GalleryError
from moodspace.index.taught.gallery import FILE
from moodspace.index.taught.user_gallery import open_gallery
from tests.index.ingest.fake_bundles import BUNDLE, asked
from tests.index.ingest.folder_sync import write_faces


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "gallery"


@pytest.fixture
def faces(tmp_path):
    return write_faces(tmp_path / "faces", 4)


def test_a_gallery_is_made_for_folders_and_followed(folder, faces):
    steps = []
    indexed = index_gallery(folder, asked(faces), lambda done, total: steps.append((done, total)))
    assert (indexed.report.added, indexed.old, steps) == (4, None, [(4, 4)])
    assert index_gallery(folder, asked()).report.unchanged == 4


def test_nothing_is_made_where_nothing_can_be_indexed(folder, tmp_path):
    for request in (asked(), asked(tmp_path / "nowhere"), asked(tmp_path)):
        with pytest.raises(DataError):
            index_gallery(folder, request)
    assert not folder.exists()


@pytest.mark.parametrize("there", [False, True])
def test_a_dry_run_makes_no_gallery(folder, faces, there):
    if there:
        folder.mkdir()
    assert index_gallery(folder, asked(faces, dry_run=True)).report.added == 4
    assert folder.exists() == there and not (folder / FILE).exists()


def test_a_dry_run_opens_a_gallery_to_read(folder, faces):
    index_gallery(folder, asked(faces))
    write_faces(faces, 2, first=10)
    with open_gallery(folder, BUNDLE.encoder_spec) as opened:
        before = opened.generation
        report = index_gallery(folder, asked(dry_run=True)).report
        assert (report.added, report.unchanged, opened.generation) == (2, 4, before)


def test_another_encoder_needs_full(folder, faces):
    index_gallery(folder, asked(faces))
    with pytest.raises(GalleryError, match="index --full"):
        index_gallery(folder, asked(bundle="other"))
    planned = index_gallery(folder, asked(bundle="other", full=True, dry_run=True))
    assert (planned.report.added, planned.old) == (4, None)
    indexed = index_gallery(folder, asked(bundle="other", full=True))
    assert indexed.report.added == 4 and indexed.old == folder.with_name("gallery.fake")
    assert index_gallery(folder, asked(bundle="other", full=True)).report.changed == 4


def test_an_interrupted_swap_is_finished_first(folder, faces):
    index_gallery(folder, asked(faces))
    folder.rename(folder.with_name("gallery.finished"))
    assert index_gallery(folder, asked()).report.unchanged == 4
