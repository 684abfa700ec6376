"""Videos on a Ray cluster give the rows of one process; most tests need requirements/ray.txt."""

import importlib.util
import shutil
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from moodspace.index.ingest.workers import WorkerError
from moodspace.realtime.capture.sampling import Sampling
from moodspace.realtime.videos import ray_workers
from moodspace.realtime.videos.ray_workers import read_on_ray
from moodspace.realtime.videos.reading import Done, Failed, Job, ReadSettings, Rows, read_settings
from moodspace.realtime.videos.workers import read_here

needs_ray = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="needs ray: pip install -r requirements/ray.txt"
)


@pytest.fixture(scope="module")
def settings(shipped: Path) -> ReadSettings:
    return read_settings(shipped, "blend", sampling=Sampling(2))


def test_without_ray_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, settings: ReadSettings) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(WorkerError, match=r"requirements/ray\.txt"):
        next(read_on_ray([Job("a.mp4", Path("a.mp4"))], settings, address=None))


def test_a_video_that_only_the_cluster_lacks_is_no_lost_video(tmp_path: Path) -> None:
    here, gone = Job("a.mp4", tmp_path / "a.mp4"), Job("b.mp4", tmp_path / "b.mp4")
    here.path.touch()
    ray_workers._check_seen(here, Failed("is broken"))
    ray_workers._check_seen(gone, Failed("No such file", missing=True))
    with pytest.raises(WorkerError, match=r"expected .*a\.mp4 on every machine"):
        ray_workers._check_seen(here, Failed("No such file", missing=True))


@needs_ray
@pytest.mark.slow
def test_a_cluster_reads_as_one_process_does(clip: Path, tmp_path: Path, settings: ReadSettings) -> None:
    jobs = [Job(name, Path(shutil.copy(clip, tmp_path / name))) for name in ("a.mp4", "b.mp4", "c.mp4")]
    (tmp_path / "d.mp4").write_bytes(b"rubble")
    jobs += [Job("d.mp4", tmp_path / "d.mp4"), Job("gone.mp4", tmp_path / "gone.mp4")]

    def ends(events: object) -> dict[str, list[object]]:
        found: dict[str, list[object]] = {}
        for job, event in events:
            if isinstance(event, Rows):
                found.setdefault(job.name, []).append(event.columns)
            elif isinstance(event, Done | Failed):
                found.setdefault(job.name, []).append(event)
        return found

    on_ray = ends(read_on_ray(jobs, settings, address=None))
    assert on_ray == ends(read_here(jobs, settings.open()))
    assert isinstance(on_ray["a.mp4"][-1], Done) and isinstance(on_ray["d.mp4"][-1], Failed)


@needs_ray
@pytest.mark.slow
def test_a_cluster_without_the_bundle_says_so(clip: Path, tmp_path: Path, settings: ReadSettings) -> None:
    elsewhere = replace(settings, bundle=tmp_path / "elsewhere")
    with pytest.raises(WorkerError, match=r"every machine, but one says: .*elsewhere.*; check that it has the bundle"):
        list(read_on_ray([Job("a.mp4", clip)], elsewhere, address=None))
