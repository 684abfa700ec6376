"""Tests of index/taught/gallery.py: add, find, remove and undo faces."""

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodspace.index.store.commit import GalleryError
from moodspace.index.store.manifest import StorageError
from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.gallery import open_taught

FIRST = 1_000_000_000
OPTIONS = {"encoder": "a" * 64, "dim": 16}


@pytest.fixture
def gallery(tmp_path):
    with open_taught(tmp_path, **OPTIONS) as opened:
        yield opened


def everything(gallery):
    return [
        row
        for part in gallery.rows()
        for row in zip(part.ids.tolist(), part.labels, part.sources, part.digests, part.batches.tolist(), strict=True)
    ]


def test_an_empty_gallery(gallery):
    assert len(gallery) == 0 and gallery.generation == 0
    assert list(gallery.rows()) == [] and gallery.verify() == [] and gallery.roots() == {}
    summary = gallery.summary()
    assert (summary.labels, summary.sources, summary.first, summary.last, len(summary)) == ({}, {}, None, None, 0)
    assert gallery.undo() is None
    assert gallery.remove([FIRST]) == gallery.remove_label("happy") == gallery.remove_source("live") == 0
    snapshot = gallery.snapshot()
    assert len(snapshot) == 0 and snapshot.classes == ()
    neighbors = snapshot.search(np.eye(2, 16, dtype=np.float32), 3)
    assert neighbors.ids.tolist() == [[-1] * 3] * 2 and not neighbors.valid.any()


def test_what_was_taught_is_there_also_later(tmp_path, make_faces):
    faces = make_faces(5, seed=3)
    before = time.time()
    with open_taught(tmp_path, **OPTIONS) as gallery:
        recorded = gallery.add(faces)
        assert recorded.ids == tuple(range(FIRST, FIRST + 5)) and recorded.removed == 0
    with open_taught(tmp_path, **OPTIONS, read_only=True) as gallery:
        (found,) = gallery.rows()
        assert found.ids.tolist() == list(recorded.ids)
        assert found.labels == ("happy",) * 5 and found.sources == ("live",) * 5
        assert found.digests == tuple(faces.digests) and set(found.batches.tolist()) == {recorded.batch}
        assert (found.added >= before - 1).all() and (found.added <= time.time() + 1).all()
        np.testing.assert_allclose(found.embeddings, faces.embeddings, atol=5e-4)
        assert len(gallery) == 5


def test_no_faces_are_nothing_to_teach(gallery):
    assert gallery.add(NewFaces.none(16)).ids == ()
    assert len(gallery) == 0


def test_times_are_kept_where_they_are_given(gallery, make_faces):
    gallery.add(replace(make_faces(2), added=np.array([1.5, 2.5])))
    summary = gallery.summary()
    assert (summary.first, summary.last) == (1.5, 2.5)


def test_ids_are_never_used_twice(tmp_path, make_faces):
    with open_taught(tmp_path, **OPTIONS) as gallery:
        assert gallery.remove(gallery.add(make_faces(3)).ids) == 3
    with open_taught(tmp_path, **OPTIONS) as gallery:
        assert gallery.add(make_faces(1)).ids == (FIRST + 3,)


def test_rows_of_some_ids(gallery, make_faces):
    gallery.add(make_faces(1200))
    wanted = np.array([FIRST + 1100, FIRST + 3, FIRST + 3, 5, FIRST + 99_999])
    assert [part.ids.tolist() for part in gallery.rows(wanted)] == [[FIRST + 3, FIRST + 1100]]
    assert list(gallery.rows(np.empty(0, np.int64))) == []


def test_remove_by_id_by_class_and_by_source(gallery, make_faces):
    gallery.add(make_faces(3, "happy", 1, "/a/1.png"))
    gallery.add(make_faces(2, "sad", 2, "/ab/2.png"))
    gallery.add(make_faces(4, "verwirrt ☹", 3, "/a/sub/3.png"))
    gallery.add(make_faces(1, "sad", 4, "live"))
    assert gallery.remove([FIRST, FIRST, FIRST + 50, 3, -1, 2**70]) == 1
    assert gallery.remove(np.array([FIRST + 1])) == 1
    assert gallery.remove_label("Happy") == 0, "names are matched as they are: who calls makes them canonical"
    assert gallery.remove_source("/a/sub/3.png") == 4
    assert gallery.remove_source("/a/") == 1
    assert gallery.remove_label("sad") == 3
    assert len(gallery) == 0 and gallery.verify() == []


def test_what_is_forgotten_is_on_the_disk_no_more(tmp_path, make_faces):
    faces = make_faces(2, "secret class", source="/secret/place.png")
    content = faces.embeddings[0].astype(np.float16).tobytes()
    with open_taught(tmp_path, **OPTIONS) as gallery:
        gallery.add(faces)
        assert any(content in path.read_bytes() for path in tmp_path.iterdir())
        gallery.remove_source("/secret/place.png")
        for path in tmp_path.iterdir():
            assert content not in path.read_bytes() and b"/secret/place" not in path.read_bytes(), path.name


def test_undo_takes_back_one_batch_at_a_time(gallery, make_faces):
    first = gallery.add(make_faces(2, "happy", 1))
    second = gallery.add(make_faces(3, "sad", 2))
    gallery.add(make_faces(1, "happy", 3), batch=second.batch)
    undone = gallery.undo()
    assert undone.batch == second.batch and undone.labels == {"happy": 1, "sad": 3}
    assert abs(undone.added - time.time()) < 60
    assert [row[0] for row in everything(gallery)] == list(first.ids)
    assert gallery.undo().labels == {"happy": 2} and gallery.undo() is None


def test_known_crops(gallery, make_faces):
    faces = make_faces(3)
    gallery.add(faces)
    gallery.add(replace(faces, labels=["sad"] * 3))
    gallery.add(replace(faces, digests=[""] * 3))
    asked = [faces.digests[0], "0f" * 32, "", faces.digests[0]]
    assert gallery.known(asked) == {faces.digests[0]: "sad"}


def test_summary_counts(tmp_path, gallery, make_faces):
    for seed, (label, source) in enumerate(
        [("sad", "live"), ("happy", "import:/x.png"), ("happy", "/a/b.png"), ("happy", "live")]
    ):
        gallery.add(make_faces(seed + 1, label, seed, source))
    summary = gallery.summary()
    assert list(summary.labels.items()) == [("happy", 9), ("sad", 1)] and len(summary) == 10
    assert summary.sources == {"import": 2, "live": 5, "pictures": 3}
    assert (summary.encoder, summary.dim) == ("a" * 64, 16)
    assert summary.bytes == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert summary.first <= summary.last


def test_generation_rises_with_each_change_of_anybody(tmp_path, gallery, make_faces):
    seen = [gallery.generation]
    gallery.add(make_faces(1))
    seen.append(gallery.generation)
    with open_taught(tmp_path, **OPTIONS) as other:
        other.add(make_faces(1, seed=1))
        seen.append(gallery.generation)
        other.remove([FIRST])
        seen.append(gallery.generation)
    assert seen == sorted(set(seen))


def test_a_writer_that_has_to_wait_too_long_says_so(tmp_path, make_faces):
    with (
        open_taught(tmp_path, **OPTIONS, timeout=0.2) as waiting,
        open_taught(tmp_path, **OPTIONS) as busy,
        busy._database.write(),
    ):
        start = time.monotonic()
        with pytest.raises(StorageError, match=r"expected to write within 0.2 s, got: another program is") as told:
            waiting.add(make_faces(1))
        assert 0.15 < time.monotonic() - start < 30 and "\n" not in str(told.value)
        assert len(waiting) == 0, "reading never waits"
    with open_taught(tmp_path, **OPTIONS) as gallery:
        gallery.add(make_faces(1))


def test_a_change_that_fails_halfway_changes_nothing(gallery, make_faces):
    gallery.add(make_faces(2))
    before, generation = everything(gallery), gallery.generation
    with pytest.raises(GalleryError, match="rename the file"):
        gallery.add(replace(make_faces(3, seed=1), sources=["/a", "/b", "/\udcff"]))
    with pytest.raises(KeyboardInterrupt), gallery._database.write() as (connection, _):
        connection.execute("DELETE FROM faces")
        raise KeyboardInterrupt
    assert everything(gallery) == before and gallery.generation == generation
    assert gallery.add(make_faces(1, seed=2)).ids == (FIRST + 2,)


@pytest.mark.parametrize("synced", [False, True])
def test_another_dimension_is_refused(gallery, make_faces, synced):
    faces = make_faces(1, dim=8)
    with pytest.raises(GalleryError, match="expected embeddings of 16 numbers, got 8"):
        if synced:
            gallery.synced(Path("/a")).record([], np.empty((0, 8), np.float32), [])
        else:
            gallery.add(faces)


def test_embeddings_of_barely_unit_length_can_be_read_again(gallery, make_faces):
    faces = make_faces(50)
    for seed, length in enumerate((0.9991, 1.0009)):
        rows = (faces.embeddings * np.float32(length)).astype(np.float32)
        gallery.add(replace(faces, embeddings=rows, digests=make_faces(50, seed=1 + seed).digests))
    assert gallery.verify() == [] and len(gallery.snapshot()) == 100


def test_several_threads_may_use_it(gallery, make_faces):
    def work(seed):
        gallery.add(make_faces(4, f"class {seed % 2}", seed))
        return len(gallery.snapshot()), len(list(gallery.rows()))

    with ThreadPoolExecutor(4) as pool:
        counts = [count for count, _ in pool.map(work, range(20))]
    assert len(gallery) == 80 == len(gallery.snapshot()) and max(counts) == 80
    assert gallery.summary().labels == {"class 0": 40, "class 1": 40} and gallery.verify() == []


def test_a_closed_gallery_says_so(tmp_path):
    gallery = open_taught(tmp_path, **OPTIONS)
    gallery.close()
    with pytest.raises(StorageError, match="closed"):
        len(gallery)


def test_closing_waits_for_who_reads_or_writes_and_later_use_is_told(tmp_path: Path) -> None:
    errors: list[str] = []
    for attempt in range(5):
        gallery = open_taught(tmp_path / str(attempt), encoder="e" * 64, dim=4)

        def use(read: bool, gallery=gallery) -> None:
            try:
                while True:
                    if read:
                        len(gallery)
                    else:
                        gallery.remove_label("nobody")
            except StorageError as error:
                errors.append(str(error))

        with ThreadPoolExecutor(4) as threads:
            uses = [threads.submit(use, bool(at % 2)) for at in range(4)]
            time.sleep(0.02)
            gallery.close()
        assert [one.exception() for one in uses] == [None] * 4
    assert len(errors) == 20 and all("expected an open gallery, got a closed one" in one for one in errors)
    assert not any("space" in one for one in errors)


def crops(n, seed=0):
    return list(np.random.default_rng(seed).integers(0, 256, (n, 48, 48), np.uint8))


def times_of(gallery):
    return sorted(time for part in gallery.rows() for time in part.added.tolist())


def labels_of(gallery):
    return dict(gallery.summary().labels)


def test_pictures_are_kept_only_where_they_are_given(tmp_path, make_faces):
    kept = crops(2)
    with open_taught(tmp_path, **OPTIONS) as gallery:
        plain = gallery.add(make_faces(2, seed=1))
        assert gallery.pictures(plain.ids) == {}
        some = gallery.add(replace(make_faces(3, seed=2), pictures=[kept[0], None, kept[1]]))
        found = gallery.pictures([*plain.ids, *some.ids])
        assert list(found) == [some.ids[0], some.ids[2]]
        np.testing.assert_array_equal(found[some.ids[2]], kept[1])
        assert gallery.verify() == []
    with open_taught(tmp_path, **OPTIONS, read_only=True) as gallery:
        np.testing.assert_array_equal(gallery.pictures(some.ids)[some.ids[0]], kept[0])


def test_a_picture_goes_with_its_face_from_the_disk_too(tmp_path, make_faces):
    (picture,) = crops(1)
    with open_taught(tmp_path, **OPTIONS) as gallery:
        for act in (gallery.undo, lambda: gallery.remove_label("happy")):
            added = gallery.add(replace(make_faces(1), pictures=[picture]))
            assert any(picture.tobytes()[:200] in path.read_bytes() for path in tmp_path.iterdir())
            act()
            assert gallery.pictures(added.ids) == {}
            assert not any(picture.tobytes()[:200] in path.read_bytes() for path in tmp_path.iterdir())


@pytest.mark.parametrize("wrong", [[], [np.zeros((48, 47), np.uint8)], [np.zeros((48, 48), np.float32)]])
def test_a_picture_of_another_form_is_refused(make_faces, wrong):
    with pytest.raises(GalleryError, match="pictures: expected"):
        replace(make_faces(1), pictures=wrong)


def test_faces_can_be_taught_as_another_class_and_back(gallery, make_faces):
    (picture,) = crops(1)
    added = gallery.add(replace(make_faces(3, "sad", 1), pictures=[picture, None, None]))
    gallery.add(make_faces(1, "happy", 2))
    before, times = everything(gallery), times_of(gallery)
    changed = gallery.relabel([*added.ids[:2], 7, FIRST + 99], "Tired")
    assert len(changed.ids) == 2 and labels_of(gallery) == {"happy": 1, "sad": 1, "tired": 2}
    np.testing.assert_array_equal(gallery.pictures(changed.ids)[changed.ids[0]], picture)
    assert gallery.snapshot().classes == ("happy", "sad", "tired")
    undone = gallery.undo()
    assert undone.labels == {"tired": 2} and undone.restored == {"sad": 2}
    assert undone.summary == "2 tired; 2 are sad again"
    assert sorted(row[1:] for row in everything(gallery)) == sorted(row[1:] for row in before)
    assert times_of(gallery) == times
    assert len(gallery.pictures(np.array([row[0] for row in everything(gallery)]))) == 1
    assert gallery.verify() == [] and len(gallery.snapshot()) == 4
    assert gallery.undo().labels == {"happy": 1} and gallery.undo().labels == {"sad": 3}


def test_each_change_of_class_is_undone_by_itself(gallery, make_faces):
    ids = gallery.add(make_faces(1, "sad")).ids
    for name in ("tired", "bored"):
        ids = gallery.relabel(ids, name).ids
    seen = []
    while len(gallery):
        seen.append(labels_of(gallery))
        gallery.undo()
    assert seen == [{"bored": 1}, {"tired": 1}, {"sad": 1}]


def test_the_same_class_again_changes_nothing(gallery, make_faces):
    ids = gallery.add(make_faces(2, "sad")).ids
    generation = gallery.generation
    assert gallery.relabel(ids, "SAD ").ids == () and gallery.generation == generation
    with pytest.raises(ValueError, match="expected the name of a class"):
        gallery.relabel(ids, " ")


def test_a_face_of_a_synced_folder_keeps_the_class_of_its_folder(gallery, make_faces, tmp_path):
    from moodspace.index.taught.sync_plan import FACES, FileState

    folder = gallery.synced(tmp_path, options="crops")
    state = FileState(str(tmp_path / "sad" / "1.png"), 1, 1, "a" * 64, FACES, "")
    single = gallery.add(make_faces(1, "sad", 1)).ids
    folder.record([state], make_faces(1, "sad", 2).embeddings, ["a" * 64])
    ids = [row[0] for row in everything(gallery)]
    with pytest.raises(GalleryError, match=r"move the pictures .* run `moodspace index`"):
        gallery.relabel(ids, "tired")
    assert labels_of(gallery) == {"sad": 2} and gallery.relabel(single, "tired").removed == 1
