"""Measure how fast `predict --out` reads videos, in seconds of video a second, and how much memory it takes.

    python -m benchmarks videos CLIP... [--workers 2] [--copies 4] [--every 1] [--bundle bundles/fer2013]
    python -m benchmarks videos CLIP --hours 3 --every 5s --workers 1

For each clip, a table is made of `--copies` copies of it by worker processes, as `predict --out` does, with the start
of the processes in the time. With `--hours` the clip is repeated without encoding it again, to a file of that length,
and read once. On a busy machine, look at the figure for a processor second: it counts only the time that these
processes run. The memory is the largest sum of the resident memory of all processes; what they share counts more than
once. The target is 500 MB with one worker. Memory on Linux only.
"""

import argparse
import json
import os
import shutil
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from moodspace import __version__
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.capture.sampling import Sampling
from moodspace.realtime.videos.reading import classes_of, read_settings
from moodspace.realtime.videos.run import VideosReport, engine_for, recognize_videos

TARGET_MB = 500.0
_LOOK_S = 0.2


def repeat(clip: Path, out: Path, seconds: float) -> None:
    """Repeat the pictures of a clip to a file of this duration, without decoding or encoding them."""
    import av

    with av.open(str(out), "w") as writing, av.open(str(clip)) as first:
        target = writing.add_stream_from_template(first.streams.video[0])
        shift = 0
        while float(shift * (first.streams.video[0].time_base or 1)) < seconds:
            with av.open(str(clip)) as reading:
                packets = [one for one in reading.demux(reading.streams.video[0]) if one.pts is not None and one.size]
                if not packets:
                    raise SystemExit(f"{clip}: expected a video, got one without pictures")
                start = min(one.dts or 0 for one in packets)
                end = max((one.pts or 0) + (one.duration or 1) for one in packets)
                for packet in packets:
                    packet.dts, packet.pts = (packet.dts or 0) - start + shift, (packet.pts or 0) - start + shift
                    packet.stream = target
                    writing.mux(packet)
                shift += end - start


@dataclass(slots=True)
class Memory:
    """The largest memory so far, in MB; 0 where it cannot be measured."""

    most_mb: float = 0.0


@contextmanager
def watched() -> Iterator[Memory]:
    """Measure the largest sum of the resident memory of this process and those that it starts."""
    memory, ended = Memory(), threading.Event()

    def look() -> None:
        while not ended.wait(_LOOK_S):
            memory.most_mb = max(memory.most_mb, sum(map(_resident, _family(os.getpid()))) / 1e6)

    watcher = threading.Thread(target=look, name="memory", daemon=True)
    watcher.start()
    try:
        yield memory
    finally:
        ended.set()
        watcher.join()


def _family(pid: int) -> list[int]:
    """Return a process and all processes below it."""
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        children = [int(one) for task in tasks for one in (task / "children").read_text().split()]
    except OSError:  # no /proc, or it has just ended
        return [pid]
    return [pid, *(one for child in children for one in _family(child))]


def _resident(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except OSError:
        return 0


def cpu_s() -> float:
    """Return the processor time of this process and of its children that have ended, in seconds."""
    spent = os.times()
    return spent.user + spent.system + spent.children_user + spent.children_system


def measure(videos: list[Path], out: Path, bundle: Path, every: str | None, workers: int) -> tuple[VideosReport, float]:
    """Make a table of videos; return the report and the largest memory in MB."""
    recognizer = Recognizer(load_bundle(bundle))
    settings = read_settings(bundle, recognizer.label_set, sampling=Sampling.parse(every))
    classes = classes_of(recognizer, None)
    del recognizer
    with watched() as memory:
        engine = engine_for(settings, workers=workers)
        report = recognize_videos(videos, out, settings, classes=classes, version=__version__, engine=engine)
    return report, memory.most_mb


def main() -> None:
    """Read the arguments, measure and print; exit with 1 if one worker takes more memory than the target."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("clips", type=Path, nargs="+", help="videos")
    parser.add_argument("--workers", type=int, default=2, help="how many processes read videos")
    parser.add_argument("--copies", type=int, default=4, help="how many copies of each clip to read")
    parser.add_argument("--hours", type=float, help="repeat each clip to a file of this many hours, and read it once")
    parser.add_argument("--every", help="look at every N-th frame, or at one each 0.5s")
    parser.add_argument("--bundle", type=Path, default=Path("bundles/fer2013"), help="the bundle")
    asked = parser.parse_args()
    missed = False
    for clip in asked.clips:
        with tempfile.TemporaryDirectory(prefix="moodspace-") as folder:
            if asked.hours:
                videos = [Path(folder) / f"long{clip.suffix}"]
                repeat(clip, videos[0], 3600 * asked.hours)
            else:
                videos = [Path(folder) / f"{number}{clip.suffix}" for number in range(asked.copies)]
                for video in videos:
                    shutil.copy(clip, video)
            started = cpu_s()
            report, most_mb = measure(videos, Path(folder) / "table.csv", asked.bundle, asked.every, asked.workers)
            spent = cpu_s() - started
        shown = report.summaries[0]
        seconds = sum(one.seconds for one in report.summaries)
        found: dict[str, Any] = {
            "clip": clip.name,
            "size": [shown.width, shown.height],
            "fps": shown.fps,
            "most_faces": shown.most_faces,
            "faces_a_frame": round(shown.rows / max(shown.frames, 1), 2),
            "workers": asked.workers,
            "every": asked.every or "1",
            "video_seconds": round(seconds, 1),
            "frames": sum(one.frames for one in report.summaries),
            "video_seconds_a_second": round(seconds / report.seconds, 2),
            "frames_a_second": round(sum(one.frames for one in report.summaries) / report.seconds, 2),
            "video_seconds_a_processor_second": round(seconds / spent, 2),
            "memory_mb": round(most_mb),
            "problems": [one.reason for one in report.skipped],
        }
        missed |= asked.workers == 1 and most_mb > TARGET_MB
        print(json.dumps(found))
    raise SystemExit(missed)


if __name__ == "__main__":
    main()
