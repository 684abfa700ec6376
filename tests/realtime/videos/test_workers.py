"""Processes read videos as one does; one that ends costs one video, and none outlives the program."""

import multiprocessing
import os
import pickle
import shutil
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.embeddings.crops import crop_faces
from moodspace.embeddings.detection.detectors import open_detector
from moodspace.errors import MoodspaceError
from moodspace.index.taught.frozen import FrozenFaces
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.capture.sampling import Sampling
from moodspace.realtime.drawing.video import VideoWriter
from moodspace.realtime.videos.reading import Done, Event, Failed, Job, ReadSettings, Rows, VideosError, read_settings
from moodspace.realtime.videos.workers import ENDED, read_here, read_in_processes


@pytest.fixture(scope="module")
def settings(shipped: Path) -> ReadSettings:
    return read_settings(shipped, "blend", sampling=Sampling(2))


@pytest.fixture
def jobs(clip: Path, tmp_path: Path) -> list[Job]:
    names = ["a.mp4", "b.mp4", "c.mp4"]
    return [Job(name, Path(shutil.copy(clip, tmp_path / name))) for name in names]


def by_job(events: Iterator[tuple[Job, Event]]) -> dict[str, list[object]]:
    """Return for each video its rows and its end."""
    found: dict[str, list[object]] = {}
    for job, event in events:
        if isinstance(event, Rows):
            found.setdefault(job.name, []).append(event.columns)
        elif isinstance(event, Done | Failed):
            found.setdefault(job.name, []).append(event)
    return found


def test_processes_read_as_one_does(jobs: list[Job], settings: ReadSettings) -> None:
    here = by_job(read_here(jobs, settings.open(threads=2)))
    assert by_job(read_in_processes(jobs, settings, 2)) == here
    assert len(here) == 3 and here["a.mp4"][0]["expression"] == ["happy"] * 3
    assert not multiprocessing.active_children()


def test_taught_faces_are_known_to_the_processes(jobs: list[Job], settings: ReadSettings, shipped: Path) -> None:
    bundle = load_bundle(shipped)
    frame = next(iter(open_source(str(jobs[0].path))))
    crops = crop_faces(frame.bgr, open_detector().detect(frame.bgr).landmarks, bundle.geometry)[:1]
    embedding = bundle.encoder.encode(crops).embeddings
    taught = FrozenFaces(np.array([1 << 40]), embedding, ("proud",), ("live",))
    rows = by_job(read_in_processes(jobs[:1], replace(settings, taught=taught), 1))["a.mp4"][0]
    assert rows["expression"] == ["proud"] * 3 and rows["probability_proud"][0] > 0.5


def test_a_process_that_ends_costs_one_video(
    jobs: list[Job], settings: ReadSettings, tmp_path: Path, clip: Path
) -> None:
    (frame, *_) = open_source(str(clip))
    with VideoWriter(tmp_path / "b.mp4", 10) as writer:  # long enough to be killed in the middle of it
        for _ in range(300):
            writer.write(frame.bgr)
    ends: dict[str, Event] = {}
    for job, event in read_in_processes(jobs, settings, 1):
        if isinstance(event, Done | Failed):
            ends[job.name] = event
        if job.name == "a.mp4" and isinstance(event, Done):
            (child,) = multiprocessing.active_children()
            assert child.pid
            os.kill(child.pid, signal.SIGKILL)
    assert ends["b.mp4"] == Failed(ENDED)
    assert isinstance(ends["a.mp4"], Done) and isinstance(ends["c.mp4"], Done)


def test_an_interruption_ends_the_processes(jobs: list[Job], settings: ReadSettings) -> None:
    events = read_in_processes(jobs, settings, 2)
    next(events)
    assert len(multiprocessing.active_children()) == 2
    events.close()
    assert not multiprocessing.active_children()


def test_a_bundle_that_cannot_be_loaded_is_one_error(jobs: list[Job], settings: ReadSettings, tmp_path: Path) -> None:
    with pytest.raises(VideosError, match="expected the bundle"):
        list(read_in_processes(jobs, replace(settings, bundle_sha256="0" * 64), 2))
    with pytest.raises(MoodspaceError, match="gone"):
        list(read_in_processes(jobs, replace(settings, bundle=tmp_path / "gone"), 1))


def test_settings_can_be_sent(settings: ReadSettings) -> None:
    assert pickle.loads(pickle.dumps(settings)).sampling == settings.sampling
