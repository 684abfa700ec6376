"""Small videos of people, read with a fake recognizer, and tables as plain rows."""

import csv
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.capture.sampling import ALL_FRAMES, Sampling
from moodspace.realtime.videos.reading import Event, Job, ReadSettings, VideoReader
from moodspace.realtime.videos.run import VideosReport, recognize_videos
from moodspace.realtime.videos.workers import read_here
from tests.made_videos import write_video
from tests.realtime.fakes import FakeDetector, faces_at, noise

BOXES = ((10, 20, 40, 50), (60, 15, 30, 40))


def write_noise(path: Path, frames: int = 20, seed: int = 0) -> Path:
    """Write a video of still noise at 10 frames per second; the fake detector finds two faces in each frame."""
    return write_video(path, [noise(90, 120, seed)] * frames, "mpeg4", fps=10)


def reader_of(recognizer: Recognizer, sampling: Sampling = ALL_FRAMES) -> VideoReader:
    detector = FakeDetector(faces_at(*BOXES))
    return VideoReader(recognizer, detector, detector, sampling)


def job_of(path: Path) -> Job:
    return Job(path.name, path)


class Table:
    """Makes a table with a fake recognizer, and counts which files are read.

    Args:
        out: The table.
        recognizer: The recognizer.
    """

    def __init__(self, out: Path, recognizer: Recognizer) -> None:
        self.out, self._recognizer = out, recognizer
        self.read: list[str] = []

    def make(
        self,
        sources: Sequence[Path],
        *,
        every: str | None = None,
        stop: Callable[[Job, Event], None] = lambda job, event: None,
        **options: Any,
    ) -> VideosReport:
        """Make the table; `stop` may raise at an event."""
        self.read = []
        sampling = Sampling.parse(every)
        reader = reader_of(self._recognizer, sampling)

        def engine(jobs: Sequence[Job]) -> Iterator[tuple[Job, Event]]:
            for job, event in read_here(jobs, reader):
                if job.path.name not in self.read:
                    self.read.append(job.path.name)
                stop(job, event)
                yield job, event

        settings = ReadSettings(Path("bundle"), "0" * 64, "fer2013", sampling=sampling)
        return recognize_videos(
            sources, self.out, settings, classes=reader.classes, version="1", engine=engine, **options
        )  # fmt: skip


def rows_of(path: Path) -> list[dict[str, str]]:
    """Return the rows of a CSV file."""
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))
