"""Tests of index/ingest/ray_workers.py on clusters of one machine; most need requirements/ray.txt."""

import importlib.util
import os
import sys
from dataclasses import replace
from threading import Timer

import pytest

from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.index.ingest import ray_workers
from moodspace.index.ingest.apply import EmbeddedFile
from moodspace.index.ingest.ray_workers import embed_on_ray
from moodspace.index.ingest.read_faces import NO_MEMORY
from moodspace.index.ingest.workers import ReadOptions, WorkerError
from tests.index.ingest.folder_sync import (
    check_same,
    embedded_here,
    paths_in,
    stopping,
    sync,
    taught_gallery,
    write_faces,
)

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs ray: pip install -r requirements/ray.txt"
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return write_faces(tmp_path_factory.mktemp("faces"), 18)


@pytest.fixture(scope="module")
def reading(shipped):
    return ReadOptions(load_bundle(shipped).encoder_spec, crops=True)


@pytest.fixture(scope="module")
def cluster():
    """Two machines of one processor each, as far as Ray can tell."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    from ray.cluster_utils import Cluster

    size = {"num_cpus": 1, "object_store_memory": 100 << 20}
    cluster = Cluster(initialize_head=True, head_node_args={**size, "include_dashboard": False})
    cluster.add_node(**size)
    yield cluster
    cluster.shutdown()


def test_without_ray_it_is_told_what_to_install(monkeypatch, reading):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(WorkerError, match=r"requirements/ray\.txt"):
        next(embed_on_ray(["a.png"], reading, address=None))


def test_a_file_that_only_the_cluster_lacks_is_no_lost_file(tmp_path):
    here = tmp_path / "here.png"
    here.touch()
    lost = EmbeddedFile(str(tmp_path / "gone.png"), reason="No such file", readable=False, lasting=False)
    broken = EmbeddedFile(str(here), reason="is broken", readable=False)
    large = replace(lost, path=str(here), reason=NO_MEMORY)
    ray_workers._check_seen([lost, broken, large])
    with pytest.raises(WorkerError, match=r"here\.png on every machine"):
        ray_workers._check_seen([lost, replace(lost, path=str(here))])


@needs_ray
@pytest.mark.parametrize("address", ["127.0.0.1:1", "no such place"])
def test_a_wrong_address_is_told_of_soon(address, reading):
    with pytest.raises(WorkerError, match=f"expected a cluster at {address}, got none"):
        next(embed_on_ray(["a.png"], reading, address=address))


@needs_ray
@pytest.mark.slow
def test_an_interrupted_sync_embeds_only_the_rest(folder, reading, tmp_path):
    import ray

    with taught_gallery(tmp_path, reading) as gallery:
        with pytest.raises(KeyboardInterrupt):
            sync(gallery, folder, lambda paths: stopping(embed_on_ray(paths, reading, address=None, size=4), after=2))
        assert len(gallery) == 8 and not ray.is_initialized()
        asked = []

        def embed(paths):
            asked.extend(paths)
            return [embedded_here(paths, reading)]

        report = sync(gallery, folder, embed)
        assert (report.added, report.unchanged, len(asked), len(gallery)) == (10, 8, 10, 18)


@needs_ray
@pytest.mark.slow
def test_a_cluster_makes_the_same_of_files_in_order(folder, reading, cluster):
    paths = paths_in(folder)
    paths.insert(5, str(folder / "gone.png"))
    parts = list(embed_on_ray(paths, reading, address=cluster.address, size=4))
    assert [len(part) for part in parts] == [4, 4, 4, 4, 3]
    check_same([one for part in parts for one in part], embedded_here(paths, reading))


@needs_ray
@pytest.mark.slow
def test_a_cluster_without_the_bundle_says_so(folder, reading, cluster, tmp_path):
    elsewhere = replace(reading, encoder=replace(reading.encoder, model=tmp_path / "elsewhere"))
    with pytest.raises(WorkerError, match=r"every machine, but one says: .*elsewhere.*; check that it has the bundle"):
        list(embed_on_ray(paths_in(folder), elsewhere, address=cluster.address))


@needs_ray
@pytest.mark.slow
def test_another_machine_does_the_work_of_one_that_ends(folder, reading, cluster):
    paths = paths_in(folder) * 50
    # Each part takes some tenths of a second: a little after the fourth, both machines are in the middle of one.
    parts = embed_on_ray(paths, reading, address=cluster.address, size=100)
    files = [file for _ in range(4) for file in next(parts)]
    ending = Timer(0.15, cluster.remove_node, [next(iter(cluster.worker_nodes))], {"allow_graceful": False})
    ending.start()
    check_same([*files, *(one for part in parts for one in part)], embedded_here(paths, reading))
    ending.join()
