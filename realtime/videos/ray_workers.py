"""Read videos on a Ray cluster, for archives that are too large for one machine."""

import os
import pickle
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from types import ModuleType
from typing import Any

from moodspace.index.ingest.ray_workers import ray_cluster
from moodspace.index.ingest.workers import WorkerError
from moodspace.realtime.videos.reading import Event, Failed, Job, ReadSettings, VideoReader

# How often a video is read again whose machine ended; if it fails more often, the video is the cause.
_RETRIES = 3
# How many events of a video may wait in the cluster until they are taken, so that memory stays bounded.
_WAITING = 8
# Seconds between two looks at whether machines joined.
_LOOK_S = 5.0

_SUBPACKAGES = ("embeddings", "index", "classifier", "realtime")


def read_on_ray(jobs: Sequence[Job], settings: ReadSettings, *, address: str | None) -> Iterator[tuple[Job, Event]]:
    """Read videos on every processor of a Ray cluster, each one video at a time.

    Every machine needs the same Python with requirements/runtime.txt and requirements/ray.txt, and the videos, the
    bundle and the detector's weights under the same paths as here, for example on a shared disk. The code and the
    user's taught faces are sent there. Only this machine writes the table.

    Args:
        jobs: The videos.
        settings: How to read them.
        address: The cluster's address: `HOST:6379`, or `auto` for the one that this machine belongs to; None starts a
            cluster on this machine and stops it at the end.

    Yields:
        A video and what happened to it.

    Raises:
        WorkerError: Ray is not installed, there is no such cluster, it lacks a file or the bundle, or it fails.
    """
    model = settings.detector_model
    sent = pickle.dumps(replace(settings, detector_model=model and model.resolve()))
    with ray_cluster(address, _SUBPACKAGES) as ray:
        yield from _read_all(ray, jobs, sent)


def _read_all(ray: ModuleType, jobs: Sequence[Job], settings: bytes) -> Iterator[tuple[Job, Event]]:
    task = ray.remote(
        num_cpus=1, max_retries=_RETRIES, num_returns="streaming", _generator_backpressure_num_objects=_WAITING
    )(_work)
    shared = ray.put(settings)
    left = deque(jobs)
    running: dict[Any, Job] = {}
    while left or running:
        # Asked each time, because machines may join.
        workers = max(1, int(ray.cluster_resources().get("CPU", 1)))
        while left and len(running) < workers:
            job = left.popleft()
            running[task.remote(job, shared)] = job
        ready, _ = ray.wait(list(running), num_returns=1, timeout=_LOOK_S, fetch_local=False)
        for events in ready:
            job = running[events]
            try:
                event = ray.get(next(events))
            except StopIteration:
                del running[events]
                continue
            if isinstance(event, Failed):
                _check_seen(job, event)
            yield job, event


def _check_seen(job: Job, failed: Failed) -> None:
    """Refuse to report a video as missing that exists here, but not on the machine that tried to read it."""
    if failed.missing and os.access(job.path, os.R_OK):
        raise WorkerError(
            f"--engine ray: expected {job.path} on every machine under this path, but one says: {failed.reason}; "
            "put the videos where all machines can read them"
        )


def _work(job: Job, settings: bytes) -> Iterator[Event]:
    yield from _opened(settings).read(job)


@cache
def _opened(settings: bytes) -> VideoReader:
    """Open what a process of the cluster needs at its first task, and keep it for the next ones."""
    read: ReadSettings = pickle.loads(settings)
    return read.open(threads=1)
