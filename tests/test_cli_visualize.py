"""`cli.py visualize`: what it draws and keeps, and what it says where it cannot."""

import errno
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

import moodspace.classifier.bundle.bundle
from moodspace.classifier.bundle.bundle import load_bundle, update_bundle
from moodspace.viz.map import layout as map_layout
from tests.drawn_faces import drawn_faces, write_folder

pytestmark = pytest.mark.numeric


def scattered(rows, *, seed, **_):
    """Stands in for UMAP, which takes half a minute to compile."""
    return np.random.default_rng(seed).normal(size=(len(rows), 2)).astype(np.float32)


@pytest.fixture
def small(shipped, tmp_path, monkeypatch):
    """The shipped bundle with 60 of its faces and no map."""
    path = shutil.copytree(shipped, tmp_path / "small")
    update_bundle(path, gallery=load_bundle(path).index.gallery.take(np.arange(60)))
    monkeypatch.setattr(map_layout, "project", scattered)
    return path


@pytest.fixture
def faces(tmp_path):
    """A labeled data set of drawn faces."""
    write_folder(drawn_faces(14, seed=2), tmp_path / "faces")
    return tmp_path / "faces"


def rows(out):
    head, *lines = (out / "projector" / "metadata.tsv").read_text().splitlines()
    return [dict(zip(head.split("\t"), line.split("\t"), strict=True)) for line in lines]


def test_it_draws_the_gallery_and_keeps_the_places(run, small, tmp_path):
    done = run("visualize", "--bundle", small, "--out", tmp_path / "out", "--dark")
    assert done.exit_code == 0, done.output
    for word in ("seed 0", "trustworthiness", "in all 128 dimensions", "map-dark.png", f"kept in {small}"):
        assert word in done.stdout
    files = ("map.png", "map-dark.png", "map.html", "projector/vectors.tsv", "projector/projector_config.pbtxt")
    assert [name for name in files if not (tmp_path / "out" / name).stat().st_size] == []
    assert load_bundle(small).map_coordinates is not None
    assert len(rows(tmp_path / "out")) == 60


def test_drawn_again_it_is_the_same_and_nothing_is_laid_out(run, small, tmp_path, monkeypatch):
    assert run("visualize", "--bundle", small, "--out", tmp_path / "one").exit_code == 0
    monkeypatch.setattr(map_layout, "project", None)
    manifest = (small / "manifest.json").read_bytes()
    assert run("visualize", "--bundle", small, "--out", tmp_path / "two").exit_code == 0
    assert (small / "manifest.json").read_bytes() == manifest
    for name in ("map.png", "map.html", "projector/metadata.tsv", "projector/vectors.tsv"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "two" / name).read_bytes()


def test_taught_faces_and_data_stand_beside_unless_they_shall_not(run, small, faces, tmp_path):
    write_folder(drawn_faces(3, seed=5, classes=("happy",)), tmp_path / "mine")
    (tmp_path / "mine" / "happy").rename(tmp_path / "mine" / "confused")
    assert run("index", tmp_path / "mine", "--crops", "--bundle", small).exit_code == 0
    done = run("visualize", faces, "--bundle", small, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "3 that you taught and 14 of your data" in done.stdout
    found = rows(tmp_path / "out")
    assert [row["origin"] for row in found] == ["gallery"] * 60 + ["taught"] * 3 + ["data"] * 14
    assert {row["label"] for row in found[60:63]} == {"confused"}
    assert (tmp_path / "out" / "projector" / "sprite.png").is_file()
    done = run("visualize", "--bundle", small, "--out", tmp_path / "out", "--no-taught")
    assert len(rows(tmp_path / "out")) == 60


def test_a_bundle_that_cannot_be_written_is_drawn(run, small, tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(moodspace.classifier.bundle.bundle, "commit", refuse)
    done = run("visualize", "--bundle", small, "--out", tmp_path / "out")
    assert done.exit_code == 0, done.output
    assert "could not be kept" in done.stdout and "Read-only" in done.stdout
    assert (tmp_path / "out" / "map.html").is_file()


def test_pictures_that_cannot_be_read_are_named_and_the_rest_is_drawn(run, small, faces, tmp_path):
    next((faces / "happy").iterdir()).write_bytes(b"rubble")
    done = run("visualize", faces, "--bundle", small, "--out", tmp_path / "out")
    assert done.exit_code == 1
    assert "happy/" in done.stderr
    assert len(rows(tmp_path / "out")) == 60 + 13


@pytest.mark.parametrize(
    ("wrong", "words"), [("session", "got a session"), ("empty", "got none"), ("none", "no such path")]
)
def test_data_that_hold_no_faces(run, small, tmp_path, wrong, words):
    (tmp_path / "session").mkdir()
    (tmp_path / "session" / "session.sqlite").write_bytes(b"")
    (tmp_path / "empty").mkdir()
    done = run("visualize", tmp_path / wrong, "--bundle", small, "--out", tmp_path / "out")
    assert done.exit_code == 1 and done.stdout == ""
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1
    assert words in done.stderr and str(tmp_path / wrong) in done.stderr
    assert not (tmp_path / "out").exists()
    assert "map.npy" not in json.loads((small / "manifest.json").read_text())["files"]


def test_a_file_where_the_folder_shall_be(run, small, tmp_path):
    (tmp_path / "out").write_bytes(b"")
    assert run("visualize", "--bundle", small, "--out", tmp_path / "out").exit_code == 2


@pytest.mark.parametrize("n", [0, 1, 3])
def test_few_faces(run, small, faces, tmp_path, monkeypatch, n):
    monkeypatch.undo()
    update_bundle(small, gallery=load_bundle(small).index.gallery.take(np.arange(n)))
    done = run("visualize", faces, "--bundle", small, "--out", tmp_path / "out", "--no-taught")
    assert done.exit_code == 0, done.output
    assert ("gallery is empty" in done.stdout) == (n == 0)
    assert len(rows(tmp_path / "out")) == (n + 14 if n else 0)


def test_tensorflow_is_not_imported(small, faces, tmp_path):
    """In a process of its own; the gallery is small enough for a map without UMAP, which test_projection.py tries."""
    import subprocess

    update_bundle(small, gallery=load_bundle(small).index.gallery.take(np.arange(5)))
    code = (
        "import sys, cli\n"
        "try: cli.app(sys.argv[1:])\n"
        "except SystemExit as end: assert not end.code, end.code\n"
        "loaded = [name for name in ('tensorflow', 'keras', 'jax', 'streamlit') if name in sys.modules]\n"
        "assert not loaded, loaded"
    )
    line = [sys.executable, "-c", code, "visualize", faces, "--bundle", small, "--out", tmp_path / "out"]
    done = subprocess.run(list(map(str, line)), cwd=Path(__file__).parents[1], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
