"""More visitors of the web app, and more workers that read videos."""

import asyncio
import tempfile
from pathlib import Path

import cv2

from benchmarks.growth.curves import Curve
from benchmarks.growth.frames import crowd_frames
from benchmarks.speed.videos import cpu_s
from benchmarks.speed.videos import measure as measure_videos
from benchmarks.web.visitors import measure as measure_visits
from benchmarks.web.web_server import running_server

VISITORS = (1, 2, 4, 8, 16, 32)
WORKERS = (1, 2, 4)


def visitors_curve(*, fps: float = 5, seconds: float = 5) -> Curve:
    """Measure one server with 1 to 32 visitors that each send pictures of a face at `fps`."""
    curve = Curve(
        "visitors",
        f"visitors, each sending {fps:g} frames a second",
        "frames_per_second",
        "answers a second",
        limit=True,
    )
    for visitors in VISITORS:
        with running_server("--visitors", str(visitors)) as server:
            found = asyncio.run(measure_visits(server, visitors, fps, seconds))
        kept = ("frames_per_second", "dropped", "round_trip_ms", "round_trip_p95_ms", "memory_end_mb", "frames_least",
                "frames_most")  # fmt: skip
        curve.points.append({"at": visitors} | {name: round(found[name], 2) for name in kept})
    return curve


def workers_curve(bundle: Path, clip: Path | None = None, *, copies: int = 4, frames: int = 75) -> Curve:
    """Measure the table of `copies` videos by 1, 2 and 4 worker processes.

    Args:
        bundle: What recognizes.
        clip: The video; four drawn faces of 960x540 if None.
        copies: How many videos.
        frames: How many frames the drawn video has, at 25 a second.
    """
    curve = Curve("workers", "worker processes", "video_seconds_a_second", "seconds of video a second", limit=True)
    with tempfile.TemporaryDirectory(prefix="moodspace-") as folder:
        first = clip or _write_clip(Path(folder) / "drawn.avi", frames)
        videos = [Path(folder) / f"{number}{first.suffix}" for number in range(copies)]
        for video in videos:
            video.write_bytes(first.read_bytes())
        for workers in WORKERS:
            begun = cpu_s()
            report, mb = measure_videos(videos, Path(folder) / f"{workers}.csv", bundle, None, workers)
            spent = cpu_s() - begun
            seconds = sum(one.seconds for one in report.summaries)
            curve.points.append({
                "at": workers,
                "video_seconds_a_second": round(seconds / report.seconds, 3),
                "video_seconds_a_processor_second": round(seconds / spent, 3),
                "memory_mb": round(mb),
            })  # fmt: skip
    return curve


def _write_clip(path: Path, count: int) -> Path:
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 25, (960, 540))
    for frame in crowd_frames(4, (960, 540), count):
        writer.write(frame)
    writer.release()
    return path
