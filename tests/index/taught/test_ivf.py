"""Tests of index/taught/ivf.py and snapshots.py: the IVF index of a large gallery."""

import contextlib
import json
import logging
import shutil
import sqlite3
from types import SimpleNamespace

import numpy as np
import pytest

import moodspace.index.taught.snapshots
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.faces import TAUGHT, NewFaces
from moodspace.index.taught.gallery import FILE, open_taught
from moodspace.index.taught.ivf import IVFIndex, building_lock, load_ivf
from moodspace.index.taught.search import FlatIndex

pytestmark = pytest.mark.numeric

N, DIM, LIMIT = 3000, 32, 1500
FIRST = 1_000_000_000


def crowd(n, seed, label="happy"):
    """Make faces around a hundred middles, as expressions lie."""
    centers = np.random.default_rng(0).standard_normal((100, DIM))
    rng = np.random.default_rng(1 + seed)
    rows = centers[rng.integers(0, 100, n)] + 0.7 * rng.standard_normal((n, DIM))
    rows = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)
    return NewFaces(
        rows, [label] * n, [f"/{seed}/{at}.png" for at in range(n)], [f"{seed:032x}{at:032x}" for at in range(n)]
    )


def opened(folder, **options):
    return open_taught(folder, **{"encoder": "encoder", "dim": DIM, "flat_limit": LIMIT} | options)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A gallery with its cells; to be copied."""
    folder = tmp_path_factory.mktemp("large")
    with opened(folder) as gallery:
        gallery.add(crowd(N, 0))
        gallery.prepare()
    return folder


@pytest.fixture
def folder(made, tmp_path):
    return shutil.copytree(made, tmp_path / "gallery")


@pytest.fixture
def built(monkeypatch):
    """Count how often cells are built, and keeps the last."""
    count, build = SimpleNamespace(times=0, last=None), moodspace.index.taught.snapshots.build_ivf

    def counted(*arguments):
        count.times, count.last = count.times + 1, build(*arguments)
        return count.last

    monkeypatch.setattr(moodspace.index.taught.snapshots, "build_ivf", counted)
    return count


def recall(gallery, k=10):
    """Return the share of the k nearest faces that a search finds, for faces of the same crowd that are not in it."""
    queries = crowd(300, 77).embeddings
    parts = list(gallery.rows())
    exact = queries @ np.concatenate([part.embeddings for part in parts]).T
    found = gallery.snapshot().search(queries, k)
    ids = np.concatenate([part.ids for part in parts])
    column = {number: at for at, number in enumerate(ids.tolist())}
    for query in range(0, len(queries), 50):  # similarities are exact whatever the cells keep
        for number, similarity in zip(found.ids[query], found.similarities[query], strict=True):
            assert abs(exact[query, column[int(number)]] - similarity) < 1e-5
    assert (np.diff(found.similarities, axis=1) <= 0).all()
    worst = -np.partition(-exact, k - 1, axis=1)[:, k - 1 : k]
    return float((found.similarities >= worst - 1e-6).mean())


def test_cells_find_what_a_full_search_finds(folder, built):
    with opened(folder) as gallery:
        base = gallery.snapshot().base
        assert isinstance(base, IVFIndex) and len(base) == N and built.times == 0
        assert base.vectors.nlist > 100 and base.nprobe < base.vectors.nlist / 2, "or a full search were as good"
        assert recall(gallery) >= 0.97 and base.recall >= 0.97
        assert recall(gallery, 1) >= 0.97
        found = gallery.snapshot().search(crowd(5, 77).embeddings, 3)
        assert found.valid.all() and (found.labels[TAUGHT] == 0).all() and found.sources[0, 0].startswith("/0/")


@pytest.mark.parametrize("k", [10, 32, 100, 1000, 2000])
def test_recall_holds_for_any_number_of_neighbors(folder, built, k):
    # What is chosen finds 98 % of the neighbors of other faces; these are new ones of the same crowd.
    with opened(folder) as gallery:
        base = gallery.snapshot().base
        assert isinstance(base, IVFIndex) and built.times == 0
        assert recall(gallery, k) >= 0.95
        assert base.nprobe <= base.nprobe_for(32) <= base.nprobe_for(100) <= base.nprobe_for(1000)
        assert base.nprobe_for(1) == base.nprobe and base.nprobe_for(2000) == base.vectors.nlist


def test_what_was_tuned_is_kept_with_the_cells(folder, built):
    with opened(folder) as gallery:
        kept = gallery.snapshot().base
    written = json.loads((folder / "cells" / "manifest.json").read_text())["meta"]
    assert built.times == 0 and written["probes_at"]
    assert dict(kept.nprobe_at) == {int(k): nprobe for k, nprobe in written["probes_at"].items()}
    assert (kept.nprobe, kept.recall) == (written["probes"], written["recall"])


def test_cells_of_an_older_program_are_searched_in_full_for_many_neighbors(folder, built):
    manifest = folder / "cells" / "manifest.json"
    document = json.loads(manifest.read_text())
    del document["meta"]["probes_at"]
    manifest.write_text(json.dumps(document))
    with opened(folder) as gallery:
        base = gallery.snapshot().base
        assert isinstance(base, IVFIndex) and built.times == 0
        assert recall(gallery) >= 0.95 and recall(gallery, 100) >= 0.95


def test_few_faces_need_no_cells(tmp_path, built):
    with opened(tmp_path) as gallery:
        gallery.add(crowd(LIMIT, 0))
        assert isinstance(gallery.snapshot().base, FlatIndex) and recall(gallery) == 1
        gallery.add(crowd(1, 1))
        assert isinstance(gallery.snapshot().base, FlatIndex), "cells are for the next to open it, or for prepare"
        gallery.prepare()
        base = gallery.snapshot().base
        assert isinstance(base, IVFIndex) and len(gallery.snapshot()) == LIMIT + 1
        assert base is not built.last, "they are to be mapped from the disk instead of taking up memory"
    assert built.times == 1


def test_teaching_and_forgetting_on_top(folder, built):
    with opened(folder) as gallery:
        base = gallery.snapshot().base
        new = gallery.add(crowd(200, 5, "sad"))
        gone = [*range(FIRST, FIRST + 300), *new.ids[:50]]
        assert gallery.remove(gone) == 350
        snapshot = gallery.snapshot()
        assert snapshot.base is base and len(snapshot) == N - 300 + 150 and snapshot.classes == ("happy", "sad")
        found = snapshot.search(crowd(200, 5).embeddings, 5)
        assert found.valid.all() and not np.isin(found.ids, gone).any()
        assert found.ids[50:, 0].tolist() == list(new.ids[50:])
        assert recall(gallery) >= 0.97
    with opened(folder) as gallery:  # cells that lag a little are followed, not built again
        assert recall(gallery) >= 0.97 and len(gallery.snapshot()) == N - 300 + 150
        assert not np.isin(gallery.snapshot().search(crowd(200, 5).embeddings, 5).ids, gone).any()
    assert built.times == 0


def test_forgotten_faces_take_nobodys_place(folder):
    query = crowd(1, 77).embeddings
    with opened(folder) as gallery:
        for around in (60, 1500):  # all of its cell, and all of its region
            gone = gallery.snapshot().search(query, around).ids[0]
            assert (gone >= 0).all()
            gallery.remove(gone)
            found = gallery.snapshot().search(query, 10)
            assert found.valid.all() and not np.isin(found.ids, gone).any()
        assert gallery.snapshot().search(query, N).valid.sum() == N - 1560


@pytest.mark.parametrize("read_only", [False, True])
def test_cells_that_lag_much_are_built_anew_by_who_may_write(folder, built, read_only):
    with opened(folder) as gallery:
        gallery.add(crowd(600, 5))
        gallery.remove(range(FIRST, FIRST + 500))
    with opened(folder, read_only=read_only) as gallery:
        assert built.times == 0
        assert len(gallery.snapshot()) == N + 100 and recall(gallery) >= 0.97
        assert built.times == (0 if read_only else 1)
    with opened(folder) as gallery:
        assert gallery.snapshot().search(crowd(600, 5).embeddings, 1).similarities.min() > 0.999
    assert built.times == 1


def cut(cells):
    path = cells / "cells.faiss"
    path.write_bytes(path.read_bytes()[:-100])


def flip(cells):
    path = cells / "cells.faiss"
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 0xFF
    path.write_bytes(content)


DAMAGES = {
    "all gone": shutil.rmtree,
    "no manifest": lambda cells: (cells / "manifest.json").unlink(),
    "no vectors": lambda cells: (cells / "cells.faiss").unlink(),
    "vectors cut": cut,
    "a bit flipped": flip,
    "manifest of words": lambda cells: (cells / "manifest.json").write_text("words"),
    "another version": lambda cells: (cells / "manifest.json").write_text(
        (cells / "manifest.json").read_text().replace('"version": 1', '"version": 2')
    ),
    "a file in the way": lambda cells: (shutil.rmtree(cells), cells.write_text("in the way")),
}


@pytest.mark.parametrize(
    ("damage", "read_only"), [*((damage, False) for damage in DAMAGES), ("all gone", True), ("a bit flipped", True)]
)
def test_missing_or_damaged_cells_are_built_again(folder, built, damage, read_only):
    DAMAGES[damage](folder / "cells")
    with opened(folder, read_only=read_only) as gallery:
        assert len(gallery.snapshot()) == N and recall(gallery) >= 0.97
    assert built.times == 1
    kept = load_ivf(folder / "cells", DIM) is not None
    assert kept == (not read_only and damage != "a file in the way")
    with opened(folder) as gallery:
        assert len(gallery.snapshot()) == N


def test_cells_of_another_history_are_not_used(made, folder, built):
    with opened(folder) as gallery:
        gallery.remove_label("happy")
        gallery.add(crowd(N, 9, "sad"))
        gallery.prepare()
    assert built.times == 1
    shutil.copy(made / FILE, folder / FILE)  # a copy is restored, and taught as often as the other was
    with opened(folder) as gallery:
        gallery.add(crowd(1, 3))
        gallery.add(crowd(1, 4))
        assert gallery.generation == 3 and gallery.snapshot().classes == ("happy",)
        assert recall(gallery) >= 0.97
    assert built.times == 2


def test_cells_that_cannot_be_kept_stay_in_memory(folder, built, monkeypatch, caplog):
    with opened(folder) as gallery:
        gallery.remove(range(FIRST, FIRST + 2000))
        gallery.add(crowd(2000, 9, "sad"))

    def full(*_):
        raise StorageError("expected to write, got: No space left on device; free some space")

    monkeypatch.setattr(moodspace.index.taught.snapshots, "save_ivf", full)
    with caplog.at_level(logging.WARNING), opened(folder) as gallery:
        base = gallery.snapshot().base
        assert isinstance(base, IVFIndex) and len(base) == N and base.revision.generation == gallery.generation
        assert recall(gallery) >= 0.97
    assert "No space left" in caplog.text and built.times == 1


def test_one_process_at_a_time_builds(folder, built, monkeypatch):
    shutil.rmtree(folder / "cells")
    monkeypatch.setattr("moodspace.index.taught.ivf._LOCK_TIMEOUT", 0.1)
    with building_lock(folder / "cells"), opened(folder) as gallery:
        with pytest.raises(sqlite3.OperationalError, match="locked"), building_lock(folder / "cells"):
            pass
        assert len(gallery.snapshot()) == N, "who waited too long builds for itself"
    assert load_ivf(folder / "cells", DIM) is None
    with contextlib.suppress(FileNotFoundError):
        assert not (folder / "cells" / "manifest.json").exists()


@pytest.mark.parametrize("n", [1, 2, 12])
def test_cells_of_hardly_any_faces(tmp_path, n):
    faces = crowd(n, 0)
    with opened(tmp_path, flat_limit=0) as gallery:
        gallery.add(faces)
        gallery.prepare()
        assert isinstance(gallery.snapshot().base, IVFIndex)
        found = gallery.snapshot().search(faces.embeddings, 15)
        assert found.ids[:, 0].tolist() == list(range(FIRST, FIRST + n))
        assert found.valid.sum(axis=1).max() <= n
