"""Tests of index/taught/json_file.py: the file of taught faces that the browser app reads and writes."""

import json
import sys

import numpy as np
import pytest

from moodspace.index.store.commit import GalleryError
from moodspace.index.taught.exchange import export_faces, import_faces
from moodspace.index.taught.faces import TaughtFaces

DIM = 8


def taught(n):
    rows = np.random.default_rng(1).normal(size=(n, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return TaughtFaces(
        ids=10**9 + np.arange(n),
        embeddings=rows.astype(np.float16).astype(np.float32),
        labels=tuple(("happy", "verwirrt ☹")[at % 2] for at in range(n)),
        sources=tuple(("/a/ü b.png", "live", "import:/c.png")[at % 3] for at in range(n)),
        digests=tuple(("", "0f" * 32)[at % 2] for at in range(n)),
        added=1.7e9 + np.arange(n) / 4,
        batches=np.ones(n, np.int64),
    )


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "a.json"
    export_faces(path, taught(5), "abc")
    return path


def test_what_goes_out_comes_back_without_pyarrow(file, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    faces, back = taught(5), import_faces(file, "abc", DIM)
    np.testing.assert_allclose(back.embeddings, faces.embeddings, atol=1e-3)
    assert tuple(back.labels) == faces.labels and tuple(back.digests) == faces.digests
    assert list(back.sources) == [
        "import:/a/ü b.png",
        "import:live",
        "import:/c.png",
        "import:/a/ü b.png",
        "import:live",
    ]
    np.testing.assert_array_equal(back.added, faces.added)
    assert [path.name for path in file.parent.iterdir()] == ["a.json"]


def test_the_content_decides_and_not_the_name(file):
    other = file.rename(file.with_suffix(".parquet"))
    assert len(import_faces(other, "abc", DIM)) == 5


def test_another_encoder_is_refused(file):
    with pytest.raises(GalleryError, match="expected embeddings of encoder xyz, got abc"):
        import_faces(file, "xyz", DIM)


CHANGES = {
    "format": lambda document: document.update(format="something"),
    "version": lambda document: document.update(version=2),
    "no faces": lambda document: document.pop("faces"),
    "a face is no object": lambda document: document["faces"].append(1),
    "no label": lambda document: document["faces"][0].pop("label"),
    "label is a number": lambda document: document["faces"][0].update(label=1),
    "label is empty": lambda document: document["faces"][0].update(label=" "),
    "long source": lambda document: document["faces"][0].update(source="a" * 5000),
    "bad digest": lambda document: document["faces"][0].update(digest="xyz"),
    "time is a text": lambda document: document["faces"][0].update(added="now"),
    "time is infinite": lambda document: document["faces"][0].update(added=1e999),
    "short embedding": lambda document: document["faces"][0]["embedding"].pop(),
    "long embedding": lambda document: document["faces"][0].update(embedding=[1.0] * DIM),
    "embedding of texts": lambda document: document["faces"][0].update(embedding=["a"] * DIM),
    "embedding is NaN": lambda document: document["faces"][0].update(embedding=[float("nan")] * DIM),
}


@pytest.mark.parametrize("change", CHANGES)
def test_other_contents_are_refused_in_one_line(file, change):
    document = json.loads(file.read_text())
    CHANGES[change](document)
    file.write_text(json.dumps(document))
    with pytest.raises(GalleryError) as refused:
        import_faces(file, "abc", DIM)
    assert "\n" not in str(refused.value) and str(refused.value).startswith(f"{file}: expected")


@pytest.mark.parametrize("content", ['{"format": ', "{" + "[" * 100_000, '{"a": 1}'])
def test_damaged_files_are_refused(file, content):
    file.write_text(content)
    with pytest.raises(GalleryError, match="expected an exported gallery"):
        import_faces(file, "abc", DIM)


def test_a_strangers_file_has_limits(file):
    assert len(import_faces(file, "abc", DIM, most=5)) == 5
    with pytest.raises(GalleryError, match="room for 5 faces, got room for 4"):
        import_faces(file, "abc", DIM, most=4)
    file.write_text(file.read_text() + " " * 200_000)
    with pytest.raises(GalleryError, match="got a larger one"):
        import_faces(file, "abc", DIM, most=5)
