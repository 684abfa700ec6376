"""Tests of index/ingest/folders.py: new folders, followed folders, and faces that must not change."""

import shutil

import numpy as np
import pytest

from moodspace.embeddings.data.labelled import DataError
from moodspace.index.ingest import folders as module
from moodspace.index.ingest.folders import sync_folders
from moodspace.index.taught.user_gallery import open_gallery
from tests.hostile_pictures import face, saved
from tests.index.ingest.fake_bundles import BUNDLE, asked, held, seen
from tests.index.ingest.folder_sync import paths_in, write_faces

DIM = BUNDLE.encoder.dim


@pytest.fixture
def gallery(tmp_path):
    with open_gallery(tmp_path / "gallery", BUNDLE.encoder_spec, create=True) as opened:
        yield opened


@pytest.fixture
def folder(tmp_path):
    return write_faces(tmp_path / "faces", 9)


def sync(gallery, *folders, **options):
    return sync_folders(gallery, asked(*folders, **options))


def counts(report):
    return report.added, report.changed, report.removed, report.unchanged, len(report.failed)


@pytest.mark.parametrize("crops", [True, False])
def test_each_file_comes_in_as_it_is_to_be_cut(gallery, folder, crops):
    report = sync(gallery, folder, crops=crops)
    assert counts(report) == (9, 0, 0, 0, 0) and report.others == (0 if crops else 9)
    there = held(gallery)
    assert sorted(there) == paths_in(folder)
    for path in folder.rglob("*.png"):
        label, digest, embedding = there[str(path)]
        wanted = seen(path, mirrored=not crops)
        assert (label, digest) == (path.parent.name, wanted[0])
        np.testing.assert_allclose(embedding, wanted[1], atol=2e-3)


def test_without_a_folder_those_known_are_looked_at_again_as_before(gallery, folder, tmp_path):
    sync(gallery, folder, crops=True)
    sync(gallery, write_faces(tmp_path / "found", 2, first=20))
    new = folder / "happy" / "new.png"
    new.write_bytes(saved(face(np.random.default_rng(77)), "PNG"))
    assert counts(sync(gallery)) == (1, 0, 0, 11, 0)
    assert held(gallery)[str(new)][1] == seen(new)[0]


def test_no_folder_named_and_none_known(gallery):
    with pytest.raises(DataError, match="the gallery knows none yet; name one"):
        sync(gallery)


def test_the_other_way_of_cutting_replaces_every_face(gallery, folder):
    sync(gallery, folder, crops=True)
    dry = sync(gallery, folder, crops=False, dry_run=True)
    assert dry.added == 9 and held(gallery)[paths_in(folder)[0]][1] == seen(folder / "angry" / "00.png")[0]
    assert sync(gallery, folder, crops=False).added == 9
    assert len(gallery) == 9
    assert held(gallery)[paths_in(folder)[0]][1] == seen(folder / "angry" / "00.png", mirrored=True)[0]
    assert counts(sync(gallery)) == (0, 0, 0, 9, 0)


def test_full_reads_every_file_again(gallery, folder):
    sync(gallery, folder, crops=True)
    assert counts(sync(gallery, folder, full=True)) == (0, 9, 0, 0, 0)
    assert len(gallery) == 9


def test_a_dry_run_changes_nothing(gallery, folder):
    assert sync(gallery, folder, dry_run=True).added == 9
    assert sync_folders(None, asked(folder, dry_run=True)).added == 9
    assert (gallery.generation, gallery.roots()) == (0, {})


def test_a_known_folder_that_is_gone_keeps_its_faces(gallery, folder, tmp_path):
    sync(gallery, folder, write_faces(tmp_path / "others", 3, first=20), crops=True)
    shutil.rmtree(folder)
    report = sync(gallery)
    assert (report.unchanged, report.removed, len(gallery)) == (3, 0, 12)
    assert [one.source for one in report.failed] == [str(folder)]
    assert "forget --source" in report.failed[0].reason
    with pytest.raises(DataError, match="no such path"):
        sync(gallery, folder)


def test_folders_that_share_files_are_refused(gallery, folder):
    with pytest.raises(DataError, match="shares files"):
        sync(gallery, folder, folder / "happy")
    sync(gallery, folder)
    for other in (folder / "happy", folder.parent):
        with pytest.raises(DataError, match=f"forget --source {folder}"):
            sync(gallery, other)


def test_a_folder_by_another_name_is_the_same(gallery, folder, tmp_path, monkeypatch):
    sync(gallery, folder, crops=True)
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    for name in ("link", "faces"):
        assert counts(sync(gallery, tmp_path.joinpath(name).relative_to(tmp_path))) == (0, 0, 0, 9, 0)


def test_all_folders_of_a_run_are_undone_at_once(gallery, folder, tmp_path):
    sync(gallery, folder, crops=True)
    sync(gallery, write_faces(tmp_path / "a", 2, first=20), write_faces(tmp_path / "b", 1, first=30), crops=True)
    assert sum(gallery.undo().labels.values()) == 3 and len(gallery) == 9


def test_copies_in_another_folder_are_left_out(gallery, folder, tmp_path):
    sync(gallery, folder, crops=True)
    report = sync(gallery, write_faces(tmp_path / "copies", 2), crops=True)
    assert (report.added, [one.of for one in report.duplicate]) == (
        0,
        paths_in(folder)[:1] + paths_in(folder / "disgust")[:1],
    )
    assert len(gallery) == 9


@pytest.mark.parametrize(
    ("files", "options", "who"),
    [
        (module._FEW + 1, {"workers": 2}, "processes"),
        (module._FEW, {"workers": 2}, "this process"),
        (module._FEW + 1, {"workers": 1}, "this process"),
        (1, {"workers": 2, "ray": True, "ray_address": "auto"}, "ray at auto"),
        (0, {"workers": 2, "ray": True}, None),
    ],
)
def test_who_embeds(monkeypatch, files, options, who):
    chosen = []

    def note(name):
        chosen.append(name)
        return []

    monkeypatch.setattr(module, "embed_in_processes", lambda paths, reading, workers: note("processes"))
    monkeypatch.setattr(module, "embed_on_ray", lambda paths, reading, address: note(f"ray at {address}"))
    monkeypatch.setattr(module, "embed_files", lambda paths, cropper, encoder: note("this process"))
    list(module.embed_pictures(["picture.png"] * files, asked(**options), crops=True))
    assert chosen == ([who] if who else [])


@pytest.mark.parametrize("crops", [True, False])
def test_what_was_forgotten_stays_forgotten(gallery, folder, crops):
    sync(gallery, folder, crops=True)
    gone = folder / "angry" / "00.png"
    assert gallery.remove_source(str(gone)) == 1
    for options in ({}, {"full": True}, {"crops": crops}, {"crops": crops, "full": True}, {"crops": True}):
        assert sync(gallery, folder, **options).forgotten == 1
        assert str(gone) not in held(gallery) and len(gallery) == 8
    gone.touch()
    shutil.copy(gone, folder / "angry" / "copy.png")  # the same under another name
    report = sync(gallery, folder, full=True)
    assert report.forgotten == 2 and len(gallery) == 8
    assert sync(gallery, folder).forgotten == 2
    gone.rename(folder / "angry" / "renamed.png")
    assert sync(gallery, folder).forgotten == 2 and len(gallery) == 8


def test_what_was_forgotten_comes_back_with_another_content_or_as_another_class(gallery, folder):
    sync(gallery, folder, crops=True)
    gone = folder / "angry" / "00.png"
    gallery.remove_source(str(gone))
    shutil.copy(gone, folder / "happy" / "corrected.png")
    assert sync(gallery, folder).added == 1
    gone.write_bytes(saved(face(np.random.default_rng(78)), "PNG"))
    assert sync(gallery, folder).added == 1 and str(gone) in held(gallery)


def test_undo_of_a_sync_leaves_what_was_forgotten_forgotten(gallery, folder):
    sync(gallery, folder, crops=True)
    gallery.remove_source(str(folder / "angry" / "00.png"))
    gallery.undo()
    report = sync(gallery, folder)
    assert (report.added, report.forgotten) == (8, 1)


def test_a_folder_whose_name_no_class_may_have_is_told_and_the_others_come_in(gallery, folder):
    shutil.copytree(folder / "angry", folder / "an\u202egry")
    shutil.copytree(folder / "angry", folder / "two\nlines")
    report = sync(gallery, folder, crops=True)
    assert report.added == 9 and len(report.failed) == 2
    assert all(one.source.isprintable() and "expected a class name" in one.reason for one in report.failed)


def test_two_spellings_of_a_folder_are_one_class(gallery, tmp_path):
    folder = write_faces(tmp_path / "faces", 4)
    for at, name in enumerate(("ang\u00e9l", "ange\u0301l", "ang\u00e9l  ")):
        (folder / name).mkdir()
        (folder / name / f"{at}.png").write_bytes(saved(face(np.random.default_rng(90 + at)), "PNG"))
    sync(gallery, folder, crops=True)
    assert gallery.summary().labels["ang\u00e9l"] == 3
