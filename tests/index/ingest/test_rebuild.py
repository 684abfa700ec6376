"""Tests of index/ingest/rebuild.py: rebuild for another encoder, faces without a picture, interruptions."""

import os
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from moodspace.embeddings.encoder import Encoded
from moodspace.index.ingest.folders import sync_folders
from moodspace.index.ingest.read_faces import crop_whole_picture, embed_files
from moodspace.index.ingest.rebuild import finish_swap, needs_rebuild, rebuild
from moodspace.index.ingest.teach import teach
from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.faces import IMPORTED, LIVE, NewFaces
from moodspace.index.taught.gallery import open_taught
from moodspace.index.taught.user_gallery import open_gallery
from tests.fake_encoder import FakeEncoder
from tests.index.ingest.fake_bundles import BUNDLE, OTHER, asked, cut_mirrored, held, seen
from tests.index.ingest.folder_sync import paths_in, write_faces

DIM = BUNDLE.encoder.dim


@pytest.fixture
def singles(tmp_path):
    return paths_in(write_faces(tmp_path / "singles", 3, first=50))


@pytest.fixture
def folder(tmp_path, singles):
    """A gallery with a folder of four faces, one whole picture, two found faces, and two without a picture."""
    with open_gallery(tmp_path / "gallery", BUNDLE.encoder_spec, create=True) as opened:
        sync_folders(opened, asked(write_faces(tmp_path / "faces", 4), crops=True))
        for paths, cutter in ((singles[:1], crop_whole_picture), (singles[1:], cut_mirrored)):
            teach(opened, "wink", embed_files(paths, cutter, BUNDLE.encoder))
        rows = np.eye(3, DIM, dtype=np.float32)
        sources = [LIVE, LIVE, IMPORTED + "/home/a.png"]
        opened.add(NewFaces(rows, ["wink"] * 3, sources, [""] * 3))
    return tmp_path / "gallery"


def contents(folder, bundle=OTHER):
    with open_gallery(folder, bundle.encoder_spec, read_only=True) as opened:
        return held(opened)


def again(folder, **options):
    return rebuild(folder, asked(bundle="other", full=True, **options))


def test_whose_a_gallery_is(folder, tmp_path):
    assert not needs_rebuild(tmp_path / "none", OTHER.encoder_spec)
    assert not needs_rebuild(folder, BUNDLE.encoder_spec) and needs_rebuild(folder, OTHER.encoder_spec)


def test_all_that_has_a_picture_comes_along(folder, singles, tmp_path):
    before = contents(folder, BUNDLE)
    report, old = again(folder)
    assert (report.added, report.unchanged) == (7, 0)
    assert sorted((one.source, one.reason[:8]) for one in report.failed) == [
        ("import", "1 faces "),
        ("live", "2 faces "),
    ]
    after = contents(folder)
    assert sorted(after) == sorted(paths_in(tmp_path / "faces") + singles)
    for source, (label, digest, embedding) in after.items():
        # Each is cut as it was, and seen by the other encoder.
        assert (label, digest) == before[source][:2]
        wanted = seen(Path(source), OTHER, mirrored=source in singles[1:])
        assert digest == wanted[0]
        np.testing.assert_allclose(embedding, wanted[1], atol=2e-3)
    with open_gallery(folder, OTHER.encoder_spec) as opened:
        assert opened.roots() == {tmp_path / "faces": "crops"}
    assert contents(old, BUNDLE).keys() == before.keys()
    assert sorted(path.name for path in tmp_path.glob("gallery*")) == ["gallery", "gallery.fake"]


def test_the_time_of_teaching_stays(folder, singles):
    with open_taught(folder, encoder="fake", dim=DIM) as opened:
        (old,) = opened.rows()
    times = dict(zip(old.sources, old.added, strict=True))
    again(folder)
    with open_gallery(folder, OTHER.encoder_spec) as opened:
        (new,) = opened.rows()
    assert {source: at for source, at in zip(new.sources, new.added, strict=True) if source in singles} == {
        source: times[source] for source in singles
    }


def test_what_lies_below_a_synced_folder_was_taught_singly_all_the_same(folder, tmp_path):
    (tmp_path / "faces" / "happy" / "aside").mkdir()
    aside = write_faces(tmp_path / "faces" / "happy" / "aside", 1, first=80)
    with open_gallery(folder, BUNDLE.encoder_spec) as opened:
        teach(opened, "wink", embed_files(paths_in(aside), crop_whole_picture, BUNDLE.encoder))
    again(folder)
    assert contents(folder)[paths_in(aside)[0]][0] == "wink"


def test_new_folders_join(folder, tmp_path):
    more = write_faces(tmp_path / "more", 2, first=90)
    report, _ = rebuild(folder, asked(more, bundle="other", full=True))
    assert report.added == 9 and set(paths_in(more)) < contents(folder).keys()


def test_what_is_gone_is_told_and_stays_in_the_old_gallery(folder, singles, tmp_path):
    Path(singles[0]).unlink()
    (tmp_path / "faces").rename(tmp_path / "elsewhere")
    report, old = again(folder)
    told = {one.source: one.reason for one in report.failed}
    assert "not available" in told[singles[0]] and "in the old gallery" in told[str(tmp_path / "faces")]
    assert report.added == 2 and sorted(contents(folder)) == sorted(singles[1:])
    assert len(contents(old, BUNDLE)) == 7 + 2  # both of `LIVE` have one source


def test_a_dry_run_counts_and_does_nothing(folder, tmp_path):
    report, old = again(folder, dry_run=True)
    assert (report.added, len(report.failed), old) == (7, 2, None)
    assert needs_rebuild(folder, OTHER.encoder_spec)
    assert [path.name for path in tmp_path.glob("gallery*")] == ["gallery"]


def test_an_interrupted_run_goes_on(folder, singles, monkeypatch):
    embedded = []
    encode = FakeEncoder.encode

    def stopped(self, crops) -> Encoded:
        if embedded:
            raise KeyboardInterrupt
        embedded.append(len(crops))
        return encode(self, crops)

    with monkeypatch.context() as patch:
        patch.setattr(FakeEncoder, "encode", stopped)
        with pytest.raises(KeyboardInterrupt):
            again(folder)
    assert embedded == [4] and needs_rebuild(folder, OTHER.encoder_spec)
    report, _ = again(folder)
    assert (report.added, report.unchanged) == (3, 4) and len(contents(folder)) == 7


def test_what_was_begun_for_a_third_encoder_is_given_up(folder, tmp_path):
    open_taught(tmp_path / "gallery.unfinished", encoder="third", dim=8).close()
    again(folder)
    assert len(contents(folder)) == 7
    assert sorted(path.name for path in tmp_path.glob("gallery*")) == ["gallery", "gallery.fake"]


def test_older_galleries_are_kept_beside_each_other(folder, tmp_path):
    (tmp_path / "gallery.fake").mkdir()
    assert again(folder)[1] == tmp_path / "gallery.fake-1"


@pytest.mark.parametrize("step", [1, 2, 3])
def test_a_swap_that_ends_at_any_step_is_finished_by_the_next_run(folder, tmp_path, monkeypatch, step):
    rename, steps = Path.rename, iter(range(1, 10))

    def dies(self, target):
        if next(steps) == step:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", dies)
        with pytest.raises(KeyboardInterrupt):
            again(folder)
    finish_swap(folder)
    if step < 3:
        assert needs_rebuild(folder, OTHER.encoder_spec) and len(contents(folder, BUNDLE)) == 9
        assert again(folder)[0].unchanged == 4
    assert len(contents(folder)) == 7
    assert sorted(path.name for path in tmp_path.glob("gallery*")) == ["gallery", "gallery.fake"]


def test_a_folder_that_cannot_be_moved_keeps_its_gallery(folder, monkeypatch):
    rename = Path.rename

    def refused(self, target):
        if self == folder:
            raise OSError(16, os.strerror(16))
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", refused)
        with pytest.raises(StorageError, match=r"Device or resource busy.*run `moodspace index --full` again"):
            again(folder)
    assert len(contents(folder, BUNDLE)) == 9
    assert again(folder)[0].unchanged == 4


def test_the_gallery_of_the_present_folder(folder, monkeypatch):
    monkeypatch.chdir(folder)
    again(Path("."))
    assert len(contents(folder)) == 7


def test_no_gallery(tmp_path):
    with pytest.raises(GalleryError, match="teach it a face first"):
        again(tmp_path / "none")
    finish_swap(tmp_path / "none")
    assert not list(tmp_path.iterdir())


def test_what_was_forgotten_stays_forgotten(folder, tmp_path):
    gone, taught_again = (Path(path) for path in paths_in(tmp_path / "faces")[:2])
    with open_gallery(folder, BUNDLE.encoder_spec) as opened:
        assert opened.remove_source(str(gone)) == opened.remove_source(str(taught_again)) == 1
        teach(opened, "wink", embed_files([str(taught_again)], crop_whole_picture, BUNDLE.encoder))
    report, _ = again(folder)
    assert report.forgotten == 2
    after = contents(folder)
    assert str(gone) not in after and after[str(taught_again)][0] == "wink"
    with open_gallery(folder, OTHER.encoder_spec) as opened:
        for full in (False, True):
            asked_for = asked(bundle="other", full=full)
            assert sync_folders(opened, asked_for).forgotten == 2
        assert str(gone) not in held(opened)


def test_what_was_forgotten_stays_forgotten_where_its_folder_is_away(folder, tmp_path):
    gone = Path(paths_in(tmp_path / "faces")[0])
    with open_gallery(folder, BUNDLE.encoder_spec) as opened:
        opened.remove_source(str(gone))
    (tmp_path / "faces").rename(tmp_path / "away")
    again(folder)
    (tmp_path / "away").rename(tmp_path / "faces")
    with open_gallery(folder, OTHER.encoder_spec) as opened:
        assert sync_folders(opened, asked(bundle="other")).forgotten == 1
        assert str(gone) not in held(opened)


def test_two_programs_at_once(folder, tmp_path, monkeypatch):
    monkeypatch.setattr("moodspace.index.ingest.rebuild._WAIT_S", 0.0)
    with (
        FileLock(tmp_path / "gallery.making"),
        pytest.raises(StorageError, match="another program that is rebuilding it"),
    ):
        again(folder)
    report, _ = again(folder)
    assert report.added == 7
    assert not (tmp_path / "gallery.making").exists()


def test_faces_that_kept_their_pictures_come_along_without_a_file(tmp_path):
    crops = np.random.default_rng(0).integers(0, 256, (2, 48, 48), np.uint8)
    with open_gallery(tmp_path / "gallery", BUNDLE.encoder_spec, create=True) as opened:
        rows = np.eye(3, DIM, dtype=np.float32)
        opened.add(NewFaces(rows, ["wink"] * 3, [LIVE] * 3, [""] * 3, pictures=[crops[0], None, crops[1]]))
    report, _ = again(tmp_path / "gallery")
    assert report.added == 2 and [one.reason for one in report.failed] == [
        "1 faces have no picture; they stay in the old gallery"
    ]
    with open_gallery(tmp_path / "gallery", OTHER.encoder_spec, read_only=True) as opened:
        (faces,) = opened.rows()
        pictures = opened.pictures(faces.ids)
        assert sorted(one.tobytes() for one in pictures.values()) == sorted(one.tobytes() for one in crops)
        expected = OTHER.encoder.encode(np.stack([pictures[one] for one in faces.ids.tolist()])).embeddings
        np.testing.assert_allclose(faces.embeddings, expected, atol=1e-3)
