"""List the functions that the live pipeline spends its processor time in."""

import cProfile
import pstats
import time
from pathlib import Path
from typing import Any

from benchmarks.session.live import clip_frames, montage, run
from moodspace.classifier.bundle.bundle import load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.detection.detectors import open_detector

ROOT = Path(__file__).resolve().parents[2]


def profile(clip: Path, bundle: Path, faces: int, count: int) -> dict[str, Any]:
    """Return for the clip, and for 16 faces made of it, the most expensive functions.

    Args:
        clip: The clip.
        bundle: The bundle.
        faces: How many faces a frame of it has.
        count: How many functions to return.

    Returns:
        By scene a list of functions, most expensive first: where it is, calls a frame, and processor milliseconds a
        frame of all threads, without what it calls. Measuring makes small Python functions look more expensive.
    """
    detector, recognizer = open_detector(), Recognizer(load_bundle(bundle))
    scenes = {"the clip": list(clip_frames(clip)), "16 faces at 1280x720": list(montage(clip, faces)())}
    found = {}
    for name, frames in scenes.items():
        run(iter(frames[:10]), detector, recognizer)
        measured = cProfile.Profile(time.process_time)
        measured.enable()
        run(iter(frames), detector, recognizer)
        measured.disable()
        stats: Any = pstats.Stats(measured)
        rows = sorted(stats.stats.items(), key=lambda item: -item[1][2])[:count]
        found[name] = [
            {"function": _place(*where), "calls": calls / len(frames), "cpu_ms": 1000 * own / len(frames)}
            for where, (_, calls, own, _, _) in rows
        ]
    return found


def _place(file: str, line: int, function: str) -> str:
    if file == "~":
        return function
    path = Path(file)
    shown = path.relative_to(ROOT) if path.is_relative_to(ROOT) else Path(*path.parts[-2:])
    return f"{shown.as_posix()}:{line} {function}"


def table(found: dict[str, Any]) -> str:
    """Return the functions as Markdown."""
    lines = []
    for name, rows in found.items():
        lines += [f"\n{name}\n", "| processor ms a frame | calls a frame | function |", "|---" * 3 + "|"]
        lines += [f"| {row['cpu_ms']:.2f} | {row['calls']:.1f} | `{row['function']}` |" for row in rows]
    return "\n".join(lines)
