"""Read videos in this process, or in several worker processes, of which one may end without stopping the others."""

import multiprocessing
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import TypeAlias

from moodspace.errors import MoodspaceError
from moodspace.index.ingest.workers import WorkerError, ignore_interrupts, start_worker, usable_cores
from moodspace.realtime.videos.reading import Done, Event, Failed, Job, ReadSettings, VideoReader

# Reads jobs and yields what happens to each; the events of several jobs may alternate.
Engine: TypeAlias = Callable[[Sequence[Job]], Iterator[tuple[Job, Event]]]

ENDED = "expected a process to keep running, but it ended while it read this video (out of memory?); run again"


def read_here(jobs: Sequence[Job], reader: VideoReader) -> Iterator[tuple[Job, Event]]:
    """Read videos one after the other in this process."""
    for job in jobs:
        for event in reader.read(job):
            yield job, event


def read_in_processes(jobs: Sequence[Job], settings: ReadSettings, workers: int) -> Iterator[tuple[Job, Event]]:
    """Read videos in worker processes, each one video at a time.

    A process that ends, for example because the system runs out of memory, costs only the video that it was reading.
    Processes wait until what they read is taken, so that memory stays bounded.

    Args:
        jobs: The videos.
        settings: How to read them.
        workers: How many processes to start; no more than there are videos.

    Yields:
        A video and what happened to it.

    Raises:
        WorkerError: A process cannot start.
        MoodspaceError: The bundle or a detector cannot be loaded.
    """
    left, workers = deque(jobs), min(workers, len(jobs))
    threads = max(1, usable_cores() // max(workers, 1))
    running: dict[Connection, _Worker] = {}
    try:
        while left or running:
            while left and len(running) < workers:
                worker = _Worker.start(settings, threads, left.popleft())
                running[worker.connection] = worker
            for connection in wait(list(running)):
                worker = running[connection]  # type: ignore[index]
                job, event = worker.job, worker.receive()
                if isinstance(event, Exception):
                    raise event
                if event is None:
                    del running[worker.connection]
                    worker.stop()
                    event = Failed(ENDED)
                elif isinstance(event, Done | Failed):
                    if left:
                        worker.begin(left.popleft())
                    else:
                        del running[worker.connection]
                        worker.stop()
                yield job, event
    finally:
        for worker in running.values():
            worker.stop()


@dataclass(slots=True, eq=False)
class _Worker:
    """A worker process, as its parent sees it.

    Attributes:
        process: The process.
        connection: Sends it jobs, and receives their events.
        job: What it is reading.
        ready: Whether it has sent anything yet.
    """

    process: BaseProcess
    connection: Connection
    job: Job
    ready: bool = False

    @classmethod
    def start(cls, settings: ReadSettings, threads: int, job: Job) -> "_Worker":
        spawn = multiprocessing.get_context("spawn")
        connection, other = spawn.Pipe()
        process = spawn.Process(target=_work, args=(other, settings, threads), name="videos", daemon=True)
        with ignore_interrupts():
            process.start()
        other.close()
        worker = cls(process, connection, job)
        worker.begin(job)
        return worker

    def begin(self, job: Job) -> None:
        self.job = job
        with suppress(OSError):  # it has ended, which `receive` notices
            self.connection.send(job)

    def receive(self) -> "Event | Exception | None":
        """Return the next event; None if the process has ended, an error if it could not start."""
        try:
            event: Event | Exception = self.connection.recv()
        except (EOFError, OSError):
            if not self.ready:
                wanted = "expected processes that start, but one ended (out of memory?)"
                return WorkerError(f"--workers: {wanted}; start again with fewer, finished videos are kept")
            return None
        self.ready = True
        return event

    def stop(self) -> None:
        self.connection.close()
        self.process.terminate()
        self.process.join()


def _work(connection: Connection, settings: ReadSettings, threads: int) -> None:
    """Read the videos that the parent sends, until it ends or closes the connection."""
    start_worker()
    try:
        reader = settings.open(threads)
    except (MoodspaceError, OSError, MemoryError) as error:
        connection.send(_plain(error))
        return
    try:
        while True:
            job = connection.recv()
            with closing(reader.read(job)) as events:  # type: ignore[type-var]
                for event in events:
                    connection.send(event)
    except (EOFError, OSError):
        return


def _plain(error: BaseException) -> Exception:
    """Return an error of ours that can be sent to another process, with the same message and exit code."""
    if isinstance(error, OSError | MemoryError):
        return WorkerError(f"expected to load the bundle and the detector, got: {error}")
    return error if isinstance(error, Exception) else WorkerError(str(error))
