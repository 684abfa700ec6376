"""Read and encode picture files in several processes; each one reads, detects, crops and encodes on its own."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path

import cv2

from moodspace.embeddings.detection.detectors import open_picture_detector
from moodspace.embeddings.encoder import Encoder, EncoderSpec
from moodspace.errors import MoodspaceError
from moodspace.index.ingest.apply import EmbeddedFile
from moodspace.index.ingest.read_faces import BATCH, Cropper, FaceCropper, crop_whole_picture, embed_files


class WorkerError(MoodspaceError):
    """A worker process or cluster that failed before it finished."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How pictures become embeddings; small and picklable, so that a worker process can open what it names.

    Attributes:
        encoder: The encoder and its crop geometry.
        crops: Whether each picture is one cropped face.
        detector: The detector that finds faces otherwise.
        detector_model: The detector's weights; None for those that ship with Moodspace.
    """

    encoder: EncoderSpec
    crops: bool
    detector: str = "centerface"
    detector_model: Path | None = None

    def open(self, threads: int) -> tuple[Cropper, Encoder]:
        """Open the cropper and the encoder; `threads` is how many the encoder may use."""
        return self.open_cropper(), self.encoder.open(threads)

    def open_cropper(self) -> Cropper:
        """Open the cropper alone."""
        if self.crops:
            return crop_whole_picture
        detector = open_picture_detector(self.detector, self.detector_model)
        return FaceCropper(detector, self.encoder.geometry)


def usable_cores() -> int:
    """Return how many cores this process may use; in a container or under `taskset` fewer than the machine has."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def embed_in_processes(
    paths: Sequence[str], reading: ReadOptions, workers: int, *, size: int = BATCH
) -> Iterator[list[EmbeddedFile]]:
    """Read pictures and encode the face in each, in worker processes; see `read_faces.embed_files`.

    Args:
        paths: The files.
        reading: How to read them.
        workers: How many processes to start.
        size: How many files to process at a time.

    Yields:
        The results of the next `size` files, in order.

    Raises:
        WorkerError: A process ended, for example because it ran out of memory.
    """
    parts = deque(paths[start : start + size] for start in range(0, len(paths), size))
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start, (reading,))
    running: deque[Future[list[EmbeddedFile]]] = deque()
    try:
        while parts or running:
            # Bounded, so that memory use does not grow with the number of files.
            while parts and len(running) < 2 * workers:
                with ignore_interrupts():  # a task may start a process
                    running.append(pool.submit(_work, parts.popleft()))
            yield running.popleft().result()
    except BrokenProcessPool as error:
        wanted = f"expected {workers} processes to keep running, but one ended (out of memory?)"
        raise WorkerError(f"--workers: {wanted}; start again with fewer, finished work is kept") from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def ignore_interrupts() -> Iterator[None]:
    """Make processes that start in this block ignore Ctrl-C from their first moment.

    Ctrl-C reaches every process of a terminal; only the parent should handle it, by ending its workers. It does so
    after the block: processes inherit that the signal is blocked, until `start_worker` ignores it.
    """
    if not hasattr(signal, "pthread_sigmask"):  # Windows, where nothing is inherited
        yield
        return
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


class _Opened:
    """The cropper and the encoder of a worker process, opened once."""

    cropper: Cropper
    encoder: Encoder


def start_worker() -> None:
    """Prepare a worker process: it leaves Ctrl-C to its parent, and ends with it, even if the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    if (parent := multiprocessing.parent_process()) is not None:
        threading.Thread(target=_end_with, args=(parent,), name="parent", daemon=True).start()


def _end_with(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    # A killed parent leaves its end of the queue open in the other workers, so that waiting for work would never end.
    os._exit(1)


def _start(reading: ReadOptions) -> None:
    start_worker()
    cv2.setNumThreads(1)
    _Opened.cropper, _Opened.encoder = reading.open(threads=1)


def _work(paths: Sequence[str]) -> list[EmbeddedFile]:
    return next(embed_files(paths, _Opened.cropper, _Opened.encoder, size=len(paths)))
