"""Read and encode picture files on a Ray cluster, for archives that are too large for one machine."""

import contextlib
import importlib
import os
import pickle
import shutil
import socket
import tempfile
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import cv2

from moodspace.embeddings.encoder import Encoder
from moodspace.errors import install_command
from moodspace.index.ingest.apply import EmbeddedFile
from moodspace.index.ingest.read_faces import BATCH, NO_MEMORY, Cropper, embed_files
from moodspace.index.ingest.workers import ReadOptions, WorkerError

# Retries of a batch whose machine or process ended; if it fails more often, its files are the cause.
_RETRIES = 3

# Results are a few kilobytes each; by default Ray would reserve a third of the memory for them.
_LOCAL = {"address": "local", "include_dashboard": False, "object_store_memory": 100 << 20}

# Seconds to wait for a cluster; Ray itself tries a wrong address for 20 minutes.
_ANSWER_S = 10

# The code that the machines of a cluster get from this one, so that all run the same version.
_SUBPACKAGES, _MODULES = ("embeddings", "index"), ("arrays", "errors", "sessions")


def embed_on_ray(
    paths: Sequence[str], reading: ReadOptions, *, address: str | None, size: int = BATCH
) -> Iterator[list[EmbeddedFile]]:
    """Read pictures and encode the face in each, on every processor of a Ray cluster.

    Every machine of the cluster needs the same Python with requirements/runtime.txt and requirements/ray.txt, and the
    files, the bundle and the detector's weights under the same paths as here, for example on a shared disk. The code
    is sent there. Machines may join and leave; another machine repeats the work of one that ends.

    The work runs as tasks, not actors, although both would keep the encoder open: an actor whose machine ends waits
    for a free processor, and there is none if each processor has its own actor.

    Args:
        paths: The files, absolute.
        reading: How to read them.
        address: The cluster's address: `HOST:6379`, or `auto` for the one that this machine belongs to; None starts a
            cluster on this machine and stops it at the end.
        size: How many files to process at a time.

    Yields:
        The results of the next `size` files, in order.

    Raises:
        WorkerError: Ray is not installed, there is no such cluster, it lacks a file or the bundle, or it fails.
    """
    with ray_cluster(address, _SUBPACKAGES) as ray:
        yield from _in_order(ray, paths, _absolute(reading), size)


@contextlib.contextmanager
def ray_cluster(address: str | None, subpackages: Sequence[str]) -> Iterator[ModuleType]:
    """Connect to a Ray cluster, send it our code, and yield the module `ray`; at the end, stop what runs there.

    Args:
        address: The cluster's address: `HOST:6379`, or `auto` for the one that this machine belongs to; None starts a
            cluster on this machine and stops it at the end.
        subpackages: The subpackages of `moodspace` that its tasks need.

    Raises:
        WorkerError: Ray is not installed, there is no such cluster, or a task or the cluster failed.
    """
    ray = _import_ray()
    try:
        with _package_to_send(subpackages) as package:
            _connect(ray, address, package)
            yield ray
    except ray.exceptions.RayTaskError as error:
        raise WorkerError(
            f"--engine ray: expected the same files on every machine, but one says: {error.cause}; check that it has "
            "the bundle and the requirements"
        ) from error
    except ray.exceptions.RayError as error:
        wanted = f"expected the cluster to keep running, but it failed ({_first_line(error)})"
        raise WorkerError(f"--engine ray: {wanted}; start again, finished work is kept") from error
    finally:
        # Ends the tasks on all machines, and the cluster if it was started here.
        ray.shutdown()


def _import_ray() -> ModuleType:
    # Read when Ray is imported. Usage statistics are sent only if the user turned them on.
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    try:
        import ray
    except ImportError as error:
        raise WorkerError(f"--engine ray: expected ray, got no such package; {install_command('ray')}") from error
    return ray


@contextlib.contextmanager
def _package_to_send(subpackages: Sequence[str]) -> Iterator[Path]:
    """Copy the code that a cluster needs to a temporary folder `moodspace`, from a checkout or an installed package."""
    with tempfile.TemporaryDirectory(prefix="moodspace-") as folder:
        package = Path(folder) / "moodspace"
        package.mkdir()
        (package / "__init__.py").touch()
        for name in (*subpackages, *_MODULES):
            source = Path(importlib.import_module(f"moodspace.{name}").__file__ or "")
            if name in _MODULES:
                shutil.copy(source, package)
            else:
                shutil.copytree(source.parent, package / name, ignore=shutil.ignore_patterns("__pycache__"))
        yield package


def _connect(ray: ModuleType, address: str | None, package: Path) -> None:
    options = {"runtime_env": {"py_modules": [str(package)]}, "log_to_driver": False, "logging_level": "ERROR"}
    try:
        if address is not None:
            _await_answer(address)
        ray.init(**options, **(_LOCAL if address is None else {"address": address}))
    except (OSError, RuntimeError, ValueError, ImportError) as error:
        where = "to start on this machine" if address is None else f"at {address}"
        raise WorkerError(f"--engine ray: expected a cluster {where}, got none ({_first_line(error)})") from error


def _await_answer(address: str) -> None:
    host, _, port = address.rpartition(":")
    if host and "/" not in host and port.isdecimal():
        socket.create_connection((host, int(port)), _ANSWER_S).close()


def _in_order(ray: ModuleType, paths: Sequence[str], reading: ReadOptions, size: int) -> Iterator[list[EmbeddedFile]]:
    parts = deque(paths[start : start + size] for start in range(0, len(paths), size))
    task = ray.remote(num_cpus=1, max_retries=_RETRIES)(_work)
    shared = ray.put(pickle.dumps(reading))
    running: deque[Any] = deque()
    while parts or running:
        # Asked each time, because machines may join; bounded, so that memory use is bounded too.
        ahead = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
        while parts and len(running) < ahead:
            running.append(task.remote(parts.popleft(), shared))
        files = ray.get(running.popleft())
        _check_seen(files)
        yield files


def _check_seen(files: Sequence[EmbeddedFile]) -> None:
    """Refuse to report a file as missing that exists here, but not on the machine that tried to read it."""
    for file in files:
        if not file.lasting and file.reason != NO_MEMORY and os.access(file.path, os.R_OK):
            raise WorkerError(
                f"--engine ray: expected {file.path} on every machine under this path, but one says: {file.reason}; "
                "put the pictures where all machines can read them"
            )


def _work(paths: Sequence[str], reading: bytes) -> list[EmbeddedFile]:
    cropper, encoder = _opened(reading)
    return next(embed_files(paths, cropper, encoder, size=len(paths)))


@cache
def _opened(reading: bytes) -> tuple[Cropper, Encoder]:
    """Open what a process of the cluster needs at its first task, and keep it for the next ones."""
    cv2.setNumThreads(1)
    options: ReadOptions = pickle.loads(reading)
    return options.open(threads=1)


def _absolute(reading: ReadOptions) -> ReadOptions:
    model = reading.detector_model
    return replace(reading, detector_model=model and model.resolve())


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0]
