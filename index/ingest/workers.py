"""Embeds picture files in several processes: each reads, finds, crops and embeds on its own."""

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

from moodspace.classifier.bundle.bundle import Bundle, load_bundle
from moodspace.embeddings.detection.detectors import open_picture_detector
from moodspace.embeddings.encoder import Encoder
from moodspace.errors import MoodspaceError
from moodspace.index.ingest.apply import EmbeddedFile
from moodspace.index.ingest.read_faces import BATCH, Cropper, FaceCropper, crop_whole_picture, embed_files


class WorkerError(MoodspaceError):
    """A worker process that ended in the middle of its work."""


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """How pictures become embeddings; small enough to send to another process, which opens what it names.

    Attributes:
        bundle: The bundle whose encoder and crop geometry to use.
        crops: Whether each picture is one face, already cut out.
        detector: The name of what finds faces otherwise.
        detector_model: Its weights; None for those that come with it.
    """

    bundle: Path
    crops: bool
    detector: str = "centerface"
    detector_model: Path | None = None

    def open(self, threads: int) -> tuple[Cropper, Encoder]:
        """Opens what cuts and what embeds; `threads` is how many the encoder may use."""
        loaded = load_bundle(self.bundle, threads=threads)
        return self.cutter(loaded), loaded.encoder

    def cutter(self, loaded: Bundle) -> Cropper:
        """Opens what cuts, for the bundle that was loaded already."""
        if self.crops:
            return crop_whole_picture
        detector = open_picture_detector(self.detector, self.detector_model)
        return FaceCropper(detector, loaded.geometry)


def usable_cores() -> int:
    """Returns how many cores this process may use: in a container, or under `taskset`, fewer than there are."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def embed_in_processes(
    paths: Sequence[str], reading: ReadOptions, workers: int, *, size: int = BATCH
) -> Iterator[list[EmbeddedFile]]:
    """Reads pictures and embeds the face in each, in processes of their own; `realtime.collect.embed_files` beside it.

    Args:
        paths: The files.
        reading: How.
        workers: How many processes.
        size: How many files at a time.

    Yields:
        What came of the next files, in order.

    Raises:
        WorkerError: a process ended, as the system ends one that asks for too much memory.
    """
    parts = deque(paths[start : start + size] for start in range(0, len(paths), size))
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), _start, (reading,))
    running: deque[Future[list[EmbeddedFile]]] = deque()
    try:
        with ignore_interrupts():
            pool.submit(os.getpid)  # the first task starts all processes
        while parts or running:
            # No further ahead than that, so that memory stays bounded however many files there are.
            while parts and len(running) < 2 * workers:
                running.append(pool.submit(_work, parts.popleft()))
            yield running.popleft().result()
    except BrokenProcessPool as error:
        wanted = f"expected {workers} processes to go on, one ended (out of memory?)"
        raise WorkerError(f"--workers: {wanted}; start again with fewer, what is done is kept") from error
    finally:
        pool.shutdown(cancel_futures=True)


@contextlib.contextmanager
def ignore_interrupts() -> Iterator[None]:
    """Keeps Ctrl-C from processes that start meanwhile, which inherit that; they would complain before they can ask.

    Ctrl-C reaches every process of a terminal; the first one ends the others in good order.
    """
    if threading.current_thread() is not threading.main_thread():  # where Python can set no signals
        yield
        return
    heard = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, heard)


class _Opened:
    """What a worker process holds: one each, opened once."""

    cutter: Cropper
    encoder: Encoder


def _start(reading: ReadOptions) -> None:
    # Where it is not inherited, as on Windows.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    cv2.setNumThreads(1)
    _Opened.cutter, _Opened.encoder = reading.open(threads=1)


def _work(paths: Sequence[str]) -> list[EmbeddedFile]:
    return next(embed_files(paths, _Opened.cutter, _Opened.encoder, size=len(paths)))
