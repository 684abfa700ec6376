"""Tests of index/ingest/teach.py: teach single pictures, refuse some, and remove faces by source."""

from pathlib import Path

import numpy as np
import pytest

from moodspace.index.ingest.apply import EmbeddedFile
from moodspace.index.ingest.read_faces import embed_files
from moodspace.index.ingest.teach import forget_source, picture_paths, teach
from moodspace.index.taught.faces import IMPORTED, LIVE, NewFaces
from moodspace.index.taught.user_gallery import open_gallery
from tests.index.ingest.fake_bundles import BUNDLE, cut_mirrored, held, seen
from tests.index.ingest.folder_sync import paths_in, write_faces


@pytest.fixture
def gallery(tmp_path):
    with open_gallery(tmp_path / "gallery", BUNDLE.encoder_spec, create=True) as opened:
        yield opened


@pytest.fixture
def pictures(tmp_path):
    return paths_in(write_faces(tmp_path / "pictures", 5))


def embed(paths):
    return embed_files(paths, cut_mirrored, BUNDLE.encoder, size=2)


def test_folders_and_pictures_become_paths(tmp_path, monkeypatch):
    for name in ("b.png", "a.png", ".hidden", "Thumbs.db"):
        (tmp_path / name).touch()
    monkeypatch.chdir(tmp_path)
    named = [Path("b.png"), tmp_path, Path("gone.png")]
    assert picture_paths(named) == [str(tmp_path / name) for name in ("b.png", "a.png", "gone.png")]


def test_the_faces_in_pictures_are_taught(gallery, pictures):
    steps = []
    report = teach(gallery, "wink", embed(pictures), total=5, progress=lambda done, total: steps.append((done, total)))
    assert len(set(report.ids)) == 5 and report.others == 5
    assert (report.known, report.failed) == ([], [])
    assert steps == [(2, 5), (4, 5), (5, 5)]
    for source, (label, digest, embedding) in held(gallery).items():
        wanted = seen(Path(source), mirrored=True)
        assert (label, digest) == ("wink", wanted[0])
        np.testing.assert_allclose(embedding, wanted[1], atol=2e-3)
    assert gallery.undo().labels == {"wink": 5} and len(gallery) == 0


def test_a_face_is_taught_once(gallery, pictures, tmp_path):
    (tmp_path / "copy.png").write_bytes(Path(pictures[0]).read_bytes())
    report = teach(gallery, "wink", embed([*pictures[:2], str(tmp_path / "copy.png")]))
    assert len(report.ids) == 2 and report.known == [str(tmp_path / "copy.png")]
    report = teach(gallery, "wink", embed(pictures[:3]))
    assert len(report.ids) == 1 and report.known == pictures[:2] and len(gallery) == 3


def test_what_is_taught_otherwise_is_refused_with_its_class(gallery, pictures):
    teach(gallery, "wink", embed(pictures[:1]))
    report = teach(gallery, "frown", embed(pictures[:2]))
    assert len(report.ids) == 1 and [one.source for one in report.failed] == pictures[:1]
    assert "taught as wink; forget that one first" in report.failed[0].reason


def test_what_gives_no_face_is_told_and_the_rest_is_taught(gallery, pictures, tmp_path):
    broken = tmp_path / "broken.png"
    broken.write_text("no picture")
    report = teach(gallery, "wink", embed([str(broken), pictures[0], str(tmp_path)]))
    assert len(report.ids) == 1 and [one.source for one in report.failed] == [str(broken), str(tmp_path)]
    assert "got a folder" in report.failed[1].reason


def test_nothing_is_written_where_nothing_is_taught(gallery):
    report = teach(gallery, "wink", [[EmbeddedFile("gone.png", reason="gone")]])
    assert (report.ids, len(report.failed), gallery.generation) == ([], 1, 0)


def test_places_are_forgotten_as_people_name_them(gallery, tmp_path, monkeypatch):
    (tmp_path / "real" / "in").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "real")
    sources = [
        str(tmp_path / "real" / "in" / "a.png"), str(tmp_path / "real" / "b.png"), str(tmp_path / "link" / "c.png"),
        str(tmp_path / "really.png"), LIVE, IMPORTED + "/home/b.png", IMPORTED + LIVE,
    ]  # fmt: skip

    def add():
        rows = np.tile(np.eye(1, gallery.dim, dtype=np.float32), (len(sources), 1))
        gallery.add(NewFaces(rows, ["wink"] * len(sources), sources, [""] * len(sources)))

    monkeypatch.chdir(tmp_path)
    for named, left in [
        ("link", sources[3:]),
        ("real/", sources[2:]),
        (sources[0], sources[1:]),
        ("real/b.png", [sources[0], *sources[2:]]),
        (LIVE, sources[:4] + sources[5:]),
        (IMPORTED + "/home", sources[:5] + sources[6:]),
        (IMPORTED + LIVE, sources[:6]),
        ("nowhere", sources),
    ]:
        add()
        assert forget_source(gallery, named) == len(sources) - len(left)
        assert sorted(held(gallery)) == sorted(left), named
        gallery.remove([number for part in gallery.rows() for number in part.ids])
