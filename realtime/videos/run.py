"""Recognize many videos into one table; what is finished stays when the program is stopped, and is not read again."""

import importlib.metadata
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from moodspace.embeddings.data.labelled import Skipped
from moodspace.embeddings.detection.detectors import bundled_weights
from moodspace.embeddings.files.paths import FILE, FOLDER, describe_path, require_file_at
from moodspace.index.ingest.workers import usable_cores
from moodspace.realtime.capture.files import FolderSource, open_source
from moodspace.realtime.capture.source import SourceError
from moodspace.realtime.progress import VideosProgress
from moodspace.realtime.videos.ray_workers import read_on_ray
from moodspace.realtime.videos.reading import (
    Columns,
    Done,
    Failed,
    Job,
    Progress,
    ReadSettings,
    Rows,
    Summary,
    file_sha256,
)
from moodspace.realtime.videos.table import (
    manifest_path,
    replacing_together,
    require_table,
    summary_path,
    write_manifest,
    write_summary,
    write_table,
)
from moodspace.realtime.videos.work import WorkFile
from moodspace.realtime.videos.workers import Engine, read_here, read_in_processes

# Packages whose version may change a result.
_PACKAGES = ("numpy", "opencv-python", "av", "ai-edge-litert", "faiss-cpu", "pillow")
_OTHER_NAMES = {"opencv-python": ("opencv-python-headless", "opencv-contrib-python")}


@dataclass(slots=True)
class VideosReport:
    """What became of the videos.

    Attributes:
        summaries: What each video showed, in the order of the table. Those without `sha256` could not be read.
        skipped: The files that could not be read, or only in part, with the reason.
        failed: How many of them could not be read at all.
        left_out: Files of folders that are neither pictures nor videos.
        read: How many videos this run read; the others were finished before.
        seconds: How many seconds this run took.
        files: The files written: table, summary and manifest.
    """

    summaries: list[Summary] = field(default_factory=list)
    skipped: list[Skipped] = field(default_factory=list)
    failed: int = 0
    left_out: list[str] = field(default_factory=list)
    read: int = 0
    seconds: float = 0.0
    files: tuple[Path, ...] = ()


def recognize_videos(
    sources: Sequence[str | Path],
    out: Path,
    settings: ReadSettings,
    *,
    classes: tuple[str, ...],
    version: str,
    engine: Engine,
    restart: bool = False,
    progress: Callable[[VideosProgress], None] | None = None,
    clock: Callable[[], float] = time.monotonic,
) -> VideosReport:
    """Recognize the faces of videos, pictures and folders of them, into a table with one row a face and frame.

    Three files are written at the end: the table, a summary with one row a video (see `summary_path`) and a manifest
    (see `manifest_path`). Finished videos are kept in a work file beside the table, so that a later run with the same
    settings reads only those that are new or have changed.

    Args:
        sources: The files and folders.
        out: The table, `.csv` or `.parquet`; an existing file is replaced.
        settings: How videos are read.
        classes: The names of the classes of a prediction.
        version: The version of Moodspace.
        engine: Reads the videos: see `engine_for`.
        restart: Whether to forget the videos that are finished.
        progress: Called now and then.
        clock: Return the time in seconds.

    Returns:
        The result. A file that cannot be read is listed, and stops nothing.

    Raises:
        SourceError: There is a single source, and it is no file or folder.
        VideosError: The settings are not those of the finished videos, or another program makes the same table.
        WorkerError: A worker process or a cluster fails.
        OSError: A file cannot be written. What is finished is kept.
    """
    started, report = clock(), VideosReport()
    require_table(out)
    require_file_at(out)
    jobs = list_jobs(sources, report)
    used = settings_document(settings, classes, version)
    with WorkFile(out, used, restart=restart) as work:
        summaries = {job.name: summary for job in jobs if (summary := work.finished(job)) is not None}
        state = _State(jobs, [job for job in jobs if job.name not in summaries], started, clock)
        _read(engine, work, state, summaries, report, progress)
        ordered = [(job, summaries[job.name]) for job in jobs]
        report.summaries += [summary for _, summary in ordered]
        report.skipped += [Skipped(one.video, one.problem) for one in report.summaries if one.problem]
        found = [one.video for one in report.summaries if one.sha256]
        report.failed += len(report.summaries) - len(found)
        report.files = (out, summary_path(out), manifest_path(out))
        with replacing_together(*report.files) as (table, summaries_table, manifest):
            write_table(table, _all_rows(work, found), classes)
            write_summary(summaries_table, report.summaries, classes)
            digests = file_sha256(table), file_sha256(summaries_table)
            write_manifest(manifest, _manifest(out, digests, used, settings, ordered))
    report.seconds = clock() - started
    return report


def engine_for(settings: ReadSettings, *, workers: int = 0, ray: bool = False, address: str | None = None) -> Engine:
    """Return what reads videos: worker processes, or a Ray cluster.

    Args:
        settings: How videos are read.
        workers: How many processes to start; 0 for one for each core.
        ray: Whether to use a Ray cluster instead.
        address: Its address; None starts one on this machine.
    """
    if ray:
        return lambda jobs: read_on_ray(jobs, settings, address=address)
    return lambda jobs: read_in_processes(jobs, settings, workers or usable_cores())


def engine_here(settings: ReadSettings) -> Engine:
    """Return what reads videos one after the other in this process."""
    return lambda jobs: read_here(jobs, settings.open(threads=usable_cores()))


def list_jobs(sources: Sequence[str | Path], report: VideosReport) -> list[Job]:
    """List the files to read, each once; note in the report what is neither a file nor a folder.

    Raises:
        SourceError: There is a single source, and it is no file or folder, or an empty folder.
    """
    jobs: dict[Path, Job] = {}
    for source in map(str, sources):
        paths: list[Path] = []
        try:
            if (found := describe_path(source)) == FILE:
                paths = [Path(source)]
            elif found == FOLDER:
                folder = FolderSource(Path(source))
                paths = folder.files
                report.skipped += folder.skipped
                report.left_out += folder.left_out
            else:
                open_source(source, files_only=True).close()
        except SourceError as error:
            if len(sources) == 1:
                raise
            report.skipped.append(Skipped(source, str(error).removeprefix(f"{source}: ")))
            report.failed += 1
        for path in paths:
            # A name that is not text, as Linux allows, cannot be written to a table as it is.
            name = os.fsencode(path).decode("utf-8", "backslashreplace")
            jobs.setdefault(path.resolve(), Job(name, path.absolute()))
    return list(jobs.values())


def settings_document(settings: ReadSettings, classes: tuple[str, ...], version: str) -> dict[str, Any]:
    """Return everything that a row depends on besides the video, as plain JSON values."""
    model = settings.detector_model or bundled_weights()
    return {
        "bundle": settings.bundle_sha256,
        "view": settings.view,
        "taught_faces": settings.taught and settings.taught.sha256,
        "classes": list(classes),
        "detector": settings.detector,
        "detector_model": file_sha256(model),
        "every": str(settings.sampling),
        "half_life": settings.half_life,
        "crops": settings.crops,
        "moodspace": version,
        **{name: _version_of(name) for name in _PACKAGES},
    }


def _version_of(package: str) -> str | None:
    for name in (package, *_OTHER_NAMES.get(package, ())):
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return None


class _State:
    """Which videos are being read, and how far each is.

    Args:
        jobs: All videos.
        todo: Those to read in this run.
        started: When the run began, seconds.
        clock: Return the time in seconds.
    """

    def __init__(self, jobs: Sequence[Job], todo: Sequence[Job], started: float, clock: Callable[[], float]) -> None:
        self.todo = list(todo)
        self._videos, self._started, self._clock = len(jobs), started, clock
        self._bytes = {job.name: _size(job.path) for job in todo}
        self._progress: dict[str, Progress] = {}
        self._done: set[str] = set()

    def at(self, job: Job, progress: Progress) -> None:
        self._progress[job.name] = progress

    def end(self, job: Job, seconds: float) -> None:
        self._progress[job.name] = Progress(seconds, 1.0)
        self._done.add(job.name)

    def progress(self) -> VideosProgress:
        read = sum(self._bytes[name] * one.share for name, one in self._progress.items())
        return VideosProgress(
            self._videos - len(self.todo) + len(self._done),
            self._videos,
            read / max(sum(self._bytes.values()), 1),
            sum(one.seconds for one in self._progress.values()),
            self._clock() - self._started,
        )


def _size(path: Path) -> int:
    try:
        return max(path.stat().st_size, 1)
    except OSError:
        return 1


def _read(
    engine: Engine,
    work: WorkFile,
    state: _State,
    summaries: dict[str, Summary],
    report: VideosReport,
    progress: Callable[[VideosProgress], None] | None,
) -> None:
    """Read what is not finished; put its rows into the work file and what it shows into `summaries`."""
    tell = progress or (lambda _: None)
    tell(state.progress())
    begun: set[str] = set()
    for job, event in engine(state.todo) if state.todo else ():
        if job.name not in begun:
            begun.add(job.name)
            work.begin(job)
        match event:
            case Rows(columns):
                work.add(job, columns)
            case Progress():
                state.at(job, event)
            case Done(summary):
                work.finish(job, summary)
                summaries[job.name] = summary
                report.read += 1
                state.end(job, summary.seconds)
            case Failed(reason):
                summaries[job.name] = Summary(job.name, problem=reason)
                state.end(job, 0.0)
        tell(state.progress())


def _all_rows(work: WorkFile, videos: Sequence[str]) -> Iterator[Columns]:
    for video in videos:
        yield from work.rows(video)


def _manifest(
    out: Path,
    digests: tuple[str, str],
    used: dict[str, Any],
    settings: ReadSettings,
    videos: Sequence[tuple[Job, Summary]],
) -> dict[str, Any]:
    """Return what made the table: versions, settings, and the digests of everything that went in and came out."""
    versions = {name: used[name] for name in ("moodspace", *_PACKAGES)}
    return {
        "format": "moodspace-videos",
        "version": 1,
        "versions": versions | {"python": platform.python_version()},
        "machine": f"{platform.system()} {platform.machine()}",
        "bundle": str(settings.bundle),
        "settings": {name: value for name, value in used.items() if name not in versions},
        "table": {"file": out.name, "sha256": digests[0]},
        "summary": {"file": summary_path(out).name, "sha256": digests[1]},
        "videos": [
            {
                "video": job.name,
                "sha256": summary.sha256 or None,
                "bytes": _size(job.path) if summary.sha256 else None,
                "rows": summary.rows,
                "problem": summary.problem or None,
            }
            for job, summary in videos
        ],
    }
