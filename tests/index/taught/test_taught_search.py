"""Tests of index/taught/search.py and snapshots.py: searching snapshots, and keeping them current."""

import numpy as np
import pytest

import moodspace.index.taught.search
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.faces import TAUGHT
from moodspace.index.taught.gallery import open_taught
from moodspace.index.taught.search import FlatIndex

OPTIONS = {"encoder": "encoder", "dim": 16}


@pytest.fixture
def gallery(tmp_path):
    with open_taught(tmp_path, **OPTIONS) as opened:
        yield opened


def faces_of(gallery):
    """Return ids, embeddings, labels and sources of all faces, as columns."""
    parts = list(gallery.rows())
    columns = [np.concatenate([getattr(part, name) for part in parts]) for name in ("ids", "embeddings")]
    return *columns, *(np.array([one for part in parts for one in getattr(part, n)]) for n in ("labels", "sources"))


def agree(gallery, queries, k):
    """Compare a search with one that looks at all faces, in the plainest way."""
    snapshot = gallery.snapshot()
    found = snapshot.search(queries, k)
    ids, rows, labels, sources = faces_of(gallery) if len(gallery) else ([], np.empty((0, 16)), [], [])
    assert len(snapshot) == len(ids) and snapshot.generation == gallery.generation
    assert list(snapshot.classes) == sorted(set(labels))
    for query in range(len(queries)):
        exact = rows @ queries[query]
        order = np.lexsort((ids, -exact))[:k]
        count = len(order)
        assert found.valid[query].tolist() == [True] * count + [False] * (k - count)
        np.testing.assert_allclose(found.similarities[query, :count], exact[order], atol=2e-6)
        assert found.similarities[query, count:].tolist() == [-1] * (k - count)
        place = [ids.tolist().index(one) for one in found.ids[query, :count]] if count else []
        np.testing.assert_allclose(exact[place], exact[order], atol=2e-6)
        assert [snapshot.classes[column] for column in found.labels[TAUGHT][query, :count]] == [
            labels[p] for p in place
        ]
        assert found.sources[query, :count].tolist() == [sources[p] for p in place]
        assert found.ids[query, count:].tolist() == [-1] * (k - count)


@pytest.mark.parametrize("seed", range(6))
def test_snapshots_follow_any_changes(gallery, make_faces, unit_rows, monkeypatch, seed):
    monkeypatch.setattr(moodspace.index.taught.search, "TAIL_LEAST", 8)  # so that bases are built anew as well
    rng, queries, bases = np.random.default_rng(seed), unit_rows(3, 16, 99), []
    for step in range(40):
        kind = rng.integers(6) if len(gallery) else 0
        if kind < 3:
            label = f"class {rng.integers(4)}"
            gallery.add(make_faces(int(rng.integers(1, 6)), label, 100 * seed + step, source=f"/{step}.png"))
        elif kind == 3:
            gallery.remove(rng.permutation(faces_of(gallery)[0])[: rng.integers(1, 4)])
        elif kind == 4:
            gallery.remove_label(f"class {rng.integers(4)}")
        else:
            gallery.undo()
        if rng.random() < 0.8:
            agree(gallery, queries, int(rng.integers(1, 30)))
            bases.append(gallery.snapshot().base)
    assert 1 < len({id(base) for base in bases}) < len(bases), "both ways to follow were to be taken"


def test_the_snapshot_is_the_same_while_nothing_changes(gallery, make_faces):
    gallery.add(make_faces(2))
    snapshot = gallery.snapshot()
    assert gallery.snapshot() is snapshot
    gallery.add(make_faces(1, seed=1))
    assert gallery.snapshot() is not snapshot and gallery.snapshot().base is snapshot.base


def test_an_old_snapshot_stays_as_it_was(gallery, make_faces):
    faces = make_faces(6)
    gallery.add(faces)
    old = gallery.snapshot()
    before = old.search(faces.embeddings, 3)
    gallery.add(make_faces(6, "sad"))  # the same embeddings once more
    assert gallery.snapshot().search(faces.embeddings, 2).labels[TAUGHT].tolist() == [[0, 1]] * 6
    after = old.search(faces.embeddings, 3)
    assert len(old) == 6 and old.classes == ("happy",)
    for name in ("ids", "similarities", "valid", "sources"):
        np.testing.assert_array_equal(getattr(after, name), getattr(before, name))


@pytest.mark.parametrize("other", [False, True])
def test_forgotten_faces_never_vote_even_in_an_old_snapshot(tmp_path, gallery, make_faces, other):
    faces = make_faces(4)
    ids = gallery.add(faces).ids
    old = gallery.snapshot()
    with open_taught(tmp_path, **OPTIONS) as another:
        (another if other else gallery).remove(ids[1:3])
    for snapshot in (old, gallery.snapshot()):
        found = snapshot.search(faces.embeddings, 4)
        assert set(found.ids.ravel().tolist()) <= {ids[0], ids[3], -1}
        assert found.valid.sum(axis=1).tolist() == [2] * 4
        assert not np.isin(found.ids, ids[1:3]).any()


def test_ties_go_to_the_first_taught(gallery, make_faces):
    faces = make_faces(1)
    ids = [gallery.add(faces).ids[0] for _ in range(3)]
    gallery.snapshot()
    ids.append(gallery.add(faces).ids[0])
    assert gallery.snapshot().search(faces.embeddings, 2).ids.tolist() == [ids[:2]]


@pytest.mark.parametrize(("queries", "k"), [
    (np.zeros((1, 16), np.float32), 1), (np.eye(1, 8, dtype=np.float32), 1), (np.eye(1, 16), 1),
    (np.full((1, 16), np.nan, np.float32), 1), (np.eye(1, 16, dtype=np.float32), 0),
])  # fmt: skip
def test_impossible_searches_are_refused(gallery, make_faces, queries, k):
    gallery.add(make_faces(2))
    with pytest.raises(ValueError, match="expected"):
        gallery.snapshot().search(queries, k)


def test_no_queries_find_nothing(gallery, make_faces):
    gallery.add(make_faces(2))
    found = gallery.snapshot().search(np.empty((0, 16), np.float32), 3)
    assert found.ids.shape == found.labels[TAUGHT].shape == found.valid.shape == found.sources.shape == (0, 3)


def test_examples_are_the_newest_of_a_class(gallery, make_faces):
    gallery.add(make_faces(3, "happy", 1))
    gallery.add(make_faces(1, "sad", 2))
    newest = gallery.add(make_faces(2, "happy", 3)).ids
    snapshot = gallery.snapshot()
    (rows,) = gallery.rows(np.array(newest))
    np.testing.assert_array_equal(snapshot.examples("happy", 2), rows.embeddings[::-1])
    assert snapshot.examples("happy", 99).shape == (5, 16) and snapshot.examples("angry", 9).shape == (0, 16)
    assert snapshot.look_up(np.array([3, newest[0]])).labels == ("happy",)


def test_a_snapshot_of_a_closed_gallery_says_so(tmp_path, make_faces):
    faces = make_faces(1)
    with open_taught(tmp_path, **OPTIONS) as gallery:
        gallery.add(faces)
        snapshot = gallery.snapshot()
    with pytest.raises(StorageError, match="closed"):
        snapshot.search(faces.embeddings, 1)


def test_flat_without_anything_proposes_nothing():
    nothing = FlatIndex.build(np.empty((0, 4), np.float32), np.empty(0, np.int64))
    similarities, ids = nothing.propose(np.eye(2, 4, dtype=np.float32), 3, 1, np.empty(0, np.int64))
    assert similarities.shape == ids.shape == (2, 0) and nothing.last_id == -1
