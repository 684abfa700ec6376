"""Tests of index/taught/exchange.py: export to parquet, and import."""

import sys

import numpy as np
import pytest

from moodspace.index.store.commit import GalleryError
from moodspace.index.taught.exchange import export_faces, import_faces
from moodspace.index.taught.faces import TaughtFaces

pa = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")

DIM = 8


def taught(n, seed=0):
    rows = np.random.default_rng(seed).normal(size=(n, DIM)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return TaughtFaces(
        ids=10**9 + np.arange(n),
        embeddings=rows.astype(np.float16).astype(np.float32),
        labels=tuple(("happy", "verwirrt ☹")[at % 2] for at in range(n)),
        sources=tuple(("/a/ü b.png", "live", "import:/c.png")[at % 3] for at in range(n)),
        digests=tuple(("", "0f" * 32)[at % 2] for at in range(n)),
        added=1.7e9 + np.arange(n) / 3,
        batches=np.ones(n, np.int64),
    )


@pytest.mark.parametrize("n", [0, 1, 7])
def test_what_goes_out_comes_back(tmp_path, n):
    faces = taught(n)
    export_faces(tmp_path / "a.parquet", faces, "abc")
    back = import_faces(tmp_path / "a.parquet", "abc", DIM)
    np.testing.assert_allclose(back.embeddings, faces.embeddings, atol=1e-3)
    assert tuple(back.labels) == faces.labels and tuple(back.digests) == faces.digests
    assert list(back.sources) == [("import:/a/ü b.png", "import:live", "import:/c.png")[at % 3] for at in range(n)]
    np.testing.assert_allclose(back.added, faces.added, atol=1e-5)
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_other_tools_can_read_it(tmp_path):
    export_faces(tmp_path / "a.parquet", taught(3), "abc")
    table = parquet.read_table(tmp_path / "a.parquet")
    assert table.column_names == ["id", "label", "source", "added", "digest", "embedding"]
    assert table["id"].to_pylist() == [10**9, 10**9 + 1, 10**9 + 2]
    assert table["added"][0].as_py().year == 2023


def test_another_encoder_is_refused(tmp_path):
    export_faces(tmp_path / "a.parquet", taught(3), "abc")
    with pytest.raises(GalleryError, match="expected embeddings of encoder xyz, got abc"):
        import_faces(tmp_path / "a.parquet", "xyz", DIM)


def write(path, columns, metadata=None):
    parquet.write_table(pa.table(columns).replace_schema_metadata(metadata), path)


def described(path):
    return parquet.read_schema(path).metadata


@pytest.mark.parametrize("change", [
    {"embedding": [[0.0] * DIM] * 3}, {"embedding": [[float("nan")] * DIM] * 3}, {"embedding": [[1.0]] * 3},
    {"embedding": ["words"] * 3}, {"label": [None, "a", "b"]}, {"label": ["", "a", "b"]}, {"source": [None] * 3},
    {"digest": ["short"] * 3}, {"added": [None] * 3}, {"added": ["today"] * 3},
])  # fmt: skip
def test_other_contents_are_refused(tmp_path, change):
    export_faces(tmp_path / "a.parquet", taught(3), "abc")
    metadata = described(tmp_path / "a.parquet")
    columns = parquet.read_table(tmp_path / "a.parquet").to_pydict() | change
    write(tmp_path / "b.parquet", columns, metadata)
    with pytest.raises(GalleryError, match=r"b.parquet: expected"):
        import_faces(tmp_path / "b.parquet", "abc", DIM)


def test_other_files_are_refused(tmp_path):
    export_faces(tmp_path / "a.parquet", taught(3), "abc")
    whole, metadata = (tmp_path / "a.parquet").read_bytes(), described(tmp_path / "a.parquet")
    (tmp_path / "cut.parquet").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "words.parquet").write_text("words")
    (tmp_path / "empty.parquet").write_bytes(b"")
    write(tmp_path / "other.parquet", {"label": ["a"]})
    write(tmp_path / "less.parquet", {"label": ["a"]}, metadata)
    write(
        tmp_path / "newer.parquet", {"label": ["a"]}, {b"moodspace": metadata[b"moodspace"].replace(b": 1,", b": 2,")}
    )
    for name in ("cut", "words", "empty", "other", "less", "newer", "gone"):
        with pytest.raises(GalleryError, match=rf"{name}.parquet: expected") as told:
            import_faces(tmp_path / f"{name}.parquet", "abc", DIM)
        assert "\n" not in str(told.value)


def test_a_failed_export_leaves_the_old_file(tmp_path, monkeypatch):
    export_faces(tmp_path / "a.parquet", taught(3), "abc")
    before = (tmp_path / "a.parquet").read_bytes()

    def full_disk(table, path):
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(parquet, "write_table", full_disk)
    with pytest.raises(OSError, match="No space"):
        export_faces(tmp_path / "a.parquet", taught(5), "abc")
    assert (tmp_path / "a.parquet").read_bytes() == before
    assert [path.name for path in tmp_path.iterdir()] == ["a.parquet"]


def test_without_pyarrow_it_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(GalleryError, match="expected pyarrow to export and import, got no such package; pip install"):
        export_faces(tmp_path / "a.parquet", taught(1), "abc")


def test_a_strangers_file_may_not_hold_more_than_there_is_room_for(tmp_path):
    export_faces(tmp_path / "a.parquet", taught(7), "abc")
    assert len(import_faces(tmp_path / "a.parquet", "abc", DIM, most=7)) == 7
    with pytest.raises(GalleryError, match="expected room for 7 faces, got room for 6"):
        import_faces(tmp_path / "a.parquet", "abc", DIM, most=6)


@pytest.mark.parametrize("codec", ["zstd", "gzip", "brotli"])
def test_a_strangers_file_may_not_unfold_to_gigabytes(tmp_path, codec):
    export_faces(tmp_path / "a.parquet", taught(7), "abc")
    table = parquet.read_table(tmp_path / "a.parquet")
    parquet.write_table(table, tmp_path / "b.parquet", compression=codec)
    assert len(import_faces(tmp_path / "b.parquet", "abc", DIM)) == 7
    with pytest.raises(GalleryError, match="expected a file as exported"):
        import_faces(tmp_path / "b.parquet", "abc", DIM, most=100)


@pytest.mark.parametrize("column", ["label", "source", "digest"])
def test_a_strangers_file_may_not_repeat_a_long_text(tmp_path, column):
    export_faces(tmp_path / "a.parquet", taught(7), "abc")
    table = parquet.read_table(tmp_path / "a.parquet")
    at = table.column_names.index(column)
    long = table.set_column(at, column, pa.array(["x" * 20_000] * 7))
    parquet.write_table(long, tmp_path / "b.parquet", compression="snappy")
    with pytest.raises(GalleryError, match="expected texts of at most 4096 letters, got 20,000"):
        import_faces(tmp_path / "b.parquet", "abc", DIM, most=100)
