"""Embeds picture files on a Ray cluster, for archives that are too large for one machine."""

import os
import socket
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2

from moodspace.embeddings.encoder import Encoder
from moodspace.index.ingest.apply import EmbeddedFile
from moodspace.index.ingest.read_faces import BATCH, NO_MEMORY, Cropper, embed_files
from moodspace.index.ingest.workers import ReadOptions, WorkerError

# How often files are tried again whose machine or process ended; more often, and they are what ends it.
_RETRIES = 3

# The results are some kilobytes each; Ray would take a third of the memory for them, and complain about small ones.
_LOCAL = {"address": "local", "include_dashboard": False, "object_store_memory": 100 << 20}

# Seconds that a cluster may take to answer; Ray itself asks for 20 minutes before it gives up on a wrong address.
_ANSWER_S = 10

# What the machines of a cluster get from this one, so that they run the same code.
_PACKAGES = ("classifier", "embeddings", "index", "realtime")


def embed_on_ray(
    paths: Sequence[str], reading: ReadOptions, *, address: str | None, size: int = BATCH
) -> Iterator[list[EmbeddedFile]]:
    """Reads pictures and embeds the face in each, on every processor of a Ray cluster.

    Every machine of the cluster needs the same Python with requirements/runtime.txt and requirements/ray.txt, and must
    have the files, the bundle and the detector's weights under the same paths as here, as on a shared disk. The code
    travels there by itself. Machines may come and go in between: what was under way on one that ends is done by
    another.

    These are tasks, not actors, though both would keep the bundle open: an actor whose machine ends waits for a free
    processor, and where each has its actor there never is one.

    Args:
        paths: The files, absolute.
        reading: How.
        address: Of the cluster: `HOST:6379`, or `auto` for the one that this machine belongs to; None starts one on
            this machine alone, which ends with this.
        size: How many files at a time.

    Yields:
        What came of the next files, in order.

    Raises:
        WorkerError: Ray is not installed, there is no such cluster, it lacks a file or the bundle, or it breaks down.
    """
    ray = _import_ray()
    try:
        _connect(ray, address)
        yield from _in_order(ray, paths, _absolute(reading), size)
    except ray.exceptions.RayTaskError as error:
        raise WorkerError(
            f"--engine ray: expected the same files on every machine, one says: {error.cause}; see that it has the "
            "bundle and the requirements"
        ) from error
    except ray.exceptions.RayError as error:
        wanted = f"expected the cluster to go on, it did not ({_first_line(error)})"
        raise WorkerError(f"--engine ray: {wanted}; start again, what is done is kept") from error
    finally:
        # Ends what this started: its tasks everywhere, and the cluster where that was for this alone.
        ray.shutdown()


def _import_ray() -> ModuleType:
    # Ray asks for it before it is imported; nothing is to leave this machine that nobody asked for.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise WorkerError("--engine ray needs ray: pip install -r requirements/ray.txt") from error
    return ray


def _connect(ray: ModuleType, address: str | None) -> None:
    root = Path(__file__).parents[2]
    packages = [str(root / name) for name in _PACKAGES]
    options = {"runtime_env": {"py_modules": packages}, "log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is not None:
            _await_answer(address)
        ray.init(**options, **(_LOCAL if address is None else {"address": address}))
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        where = "to start on this machine" if address is None else f"at {address}"
        raise WorkerError(f"--engine ray: expected a cluster {where}, found none ({_first_line(error)})") from error


def _await_answer(address: str) -> None:
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isdecimal():
        socket.create_connection((host, int(port)), _ANSWER_S).close()


def _in_order(ray: ModuleType, paths: Sequence[str], reading: ReadOptions, size: int) -> Iterator[list[EmbeddedFile]]:
    parts = deque(paths[start : start + size] for start in range(0, len(paths), size))
    task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_work)
    shared = ray.put(reading)
    running: deque[Any] = deque()
    while parts or running:
        # Asked each time, as machines may have come; no further ahead, so that memory stays bounded.
        ahead = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        while parts and len(running) < ahead:
            running.append(task.remote(parts.popleft(), shared))
        files = ray.get(running.popleft())
        _check_seen(files)
        yield files


def _check_seen(files: Sequence[EmbeddedFile]) -> None:
    """Refuses to take a file for gone that is here, and only not on the machine that was to read it."""
    for file in files:
        if not file.lasting and file.reason != NO_MEMORY and os.access(file.path, os.R_OK):
            raise WorkerError(
                f"--engine ray: expected {file.path} on every machine under this path, one says: {file.reason}; "
                "put the pictures where all can read them"
            )


def _work(paths: Sequence[str], reading: ReadOptions) -> list[EmbeddedFile]:
    cutter, encoder = _opened(reading)
    return next(embed_files(paths, cutter, encoder, size=len(paths)))


@cache
def _opened(reading: ReadOptions) -> tuple[Cropper, Encoder]:
    """What a process of the cluster holds: opened at its first task, and kept for the next."""
    cv2.setNumThreads(1)
    return reading.open(threads=1)


def _absolute(reading: ReadOptions) -> ReadOptions:
    model = reading.detector_model
    return replace(reading, bundle=reading.bundle.resolve(), detector_model=model and model.resolve())


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
