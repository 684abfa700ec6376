"""Compare the speed and the decisions of two versions of Moodspace, each in a checkout of its own, in turn (ABBA)."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self, cast

import numpy as np

from moodspace.realtime.tracking.association import overlaps

_SIDE = Path(__file__).with_name("_side.py")
ROOT = Path(__file__).resolve().parents[2]
SCENES = {"clip": "the clip", "montage": "16 faces at 1280x720"}


class Side:
    """A process that measures one version.

    Args:
        checkout: Its folder.
        clip: The clip.
        bundle: The bundle.
        faces: How many faces a frame of the clip has.
        most: The most frames to use.
    """

    def __init__(self, checkout: Path, clip: Path, bundle: Path, faces: int, most: int) -> None:
        arguments = [str(clip.resolve()), str(bundle.resolve()), str(faces), str(most)]
        self.checkout = checkout
        self._process = subprocess.Popen(
            [sys.executable, "-c", _SIDE.read_text(encoding="utf-8"), *arguments],
            cwd=checkout,
            env=os.environ | {"PYTHONPATH": str(checkout)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def do(self, job: str) -> Any:
        """Return the answer to a job.

        Raises:
            RuntimeError: The process ended.
        """
        asked, answered = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        line = ""
        with suppress(BrokenPipeError):
            asked.write(job + "\n")
            asked.flush()
            line = answered.readline()
        if not line:
            raise RuntimeError(
                f"{self.checkout}: expected a checkout that can run the benchmark `live`, its process ended"
            )
        return json.loads(line)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()


@dataclass(frozen=True, slots=True)
class Agreement:
    """How far two versions decide alike over the frames of a clip.

    Attributes:
        frames: The number of frames.
        same_count: Share of the frames with the same number of faces.
        paired: Share of the faces of both that have a counterpart.
        same_ids: Share of the pairs with the same id.
        overlap: Mean and least intersection over union of the pairs' boxes.
        same_labels: Share of the pairs with the same label of the newest crop.
        same_shown: Share of the pairs with the same label shown.
        apart: Mean absolute difference of the pairs' smoothed probabilities; None where the classes differ.
    """

    frames: int
    same_count: float
    paired: float
    same_ids: float
    overlap: tuple[float, float]
    same_labels: float
    same_shown: float
    apart: float | None


def agreement(old: Sequence[dict[str, Any]], new: Sequence[dict[str, Any]]) -> Agreement:
    """Pair the faces of each frame by their boxes and compare what was decided; see `_side.decisions`."""
    pairs: list[tuple[float, dict[str, bool], float | None]] = []
    for before, after in zip(old, new, strict=True):
        shared = overlaps(_boxes(before), _boxes(after))
        for row, column in _best_pairs(shared):
            same = {key: before[key][row] == after[key][column] for key in ("ids", "labels", "shown")}
            first, second = (np.array(one["smoothed"][at]) for one, at in ((before, row), (after, column)))
            apart = float(np.abs(first - second).mean()) if first.shape == second.shape else None
            pairs.append((float(shared[row, column]), same, apart))
    counts = np.array([(len(before["ids"]), len(after["ids"])) for before, after in zip(old, new, strict=True)])
    overlap = np.array([one[0] for one in pairs] or [1.0])
    differences = [one[2] for one in pairs]
    known = [one for one in differences if one is not None]

    def share(key: str) -> float:
        return float(np.mean([one[1][key] for one in pairs] or [True]))

    return Agreement(
        len(old),
        float((counts[:, 0] == counts[:, 1]).mean()),
        2 * len(pairs) / max(int(counts.sum()), 1),
        share("ids"),
        (float(overlap.mean()), float(overlap.min())),
        share("labels"),
        share("shown"),
        float(np.mean(known or [0.0])) if len(known) == len(differences) else None,
    )


def _boxes(frame: dict[str, Any]) -> np.ndarray:
    return np.array(frame["boxes"], np.float32).reshape(-1, 4)


def _best_pairs(shared: np.ndarray) -> list[tuple[int, int]]:
    """Return pairs of rows and columns, those with the largest values first, each row and column at most once."""
    pairs, left = [], shared.copy()
    while left.size and left.max() > 0:
        row, column = (int(one) for one in np.unravel_index(int(left.argmax()), left.shape))
        pairs.append((row, column))
        left[row], left[:, column] = 0, 0
    return pairs


def compare(old: Side, new: Side, rounds: int) -> dict[str, Any]:
    """Time both versions in turn and compare their decisions once."""
    found: dict[str, Any] = {"load": round(os.getloadavg()[0], 1)}
    for scene, name in SCENES.items():
        alike = agreement(old.do(f"decide {scene}"), new.do(f"decide {scene}"))
        runs = _in_turn(old, new, scene, rounds)
        found[scene] = {"name": name, **_speeds(runs), "agreement": {k: getattr(alike, k) for k in alike.__slots__}}
    crops = _in_turn(old, new, "crop", rounds)
    found["crop"] = {
        key: _both([before[key] for before, _ in crops], [after[key] for _, after in crops]) for key in ("ms", "cpu_ms")
    }
    return found


def _in_turn(old: Side, new: Side, job: str, rounds: int) -> list[tuple[Any, Any]]:
    """Return the answers of both to a job, for each round; in every second round the new version goes first."""
    answers = []
    for number in range(rounds):
        if number % 2:
            second = new.do(job)
            answers.append((old.do(job), second))
        else:
            answers.append((old.do(job), new.do(job)))
    return answers


def _speeds(runs: Sequence[tuple[dict[str, Any], dict[str, Any]]]) -> dict[str, Any]:
    def both(read: Any) -> dict[str, float]:
        return _both([read(before) for before, _ in runs], [read(after) for _, after in runs])

    stages = runs[0][0]["stages_ms"].keys() & runs[0][1]["stages_ms"].keys()
    return {
        "ms": both(lambda one: 1000 * one["seconds"] / one["frames"]),
        "cpu_ms": both(lambda one: 1000 * one["cpu_s"] / one["frames"]),
        "stages_ms": {
            stage: both(lambda one, stage=stage: one["stages_ms"][stage])
            for stage in runs[0][1]["stages_ms"]
            if stage in stages
        },
    }


def _both(old: Sequence[float], new: Sequence[float]) -> dict[str, float]:
    """Return median and least of both sides, and the median ratio of the pairs, old over new."""
    ratio = np.median(np.array(old) / np.maximum(new, 1e-9))
    values = {
        "old": np.median(old), "new": np.median(new), "old_least": min(old), "new_least": min(new), "ratio": ratio,
    }  # fmt: skip
    return {name: round(float(value), 3) for name, value in values.items()}


def table(found: dict[str, Any]) -> str:
    """Return the figures as Markdown."""
    lines = [f"load {found['load']}", "", "| | old | new | old, best | new, best | times as fast |", "|---" * 6 + "|"]

    def line(name: str, one: dict[str, float], digits: int = 2) -> str:
        cells = [f"{one[key]:.{digits}f}" for key in ("old", "new", "old_least", "new_least")]
        return f"| {name} | {' | '.join(cells)} | {one['ratio']:.2f} |"

    for scene in SCENES:
        block = found[scene]
        fps = {key: value if key == "ratio" else 1000 / value for key, value in block["ms"].items()}
        lines.append(line(f"{block['name']}: frames a second", fps, 1))
        lines.append(line(f"{block['name']}: processor ms a frame", block["cpu_ms"]))
        lines += [line(f"{block['name']}: {stage}, ms a frame", one) for stage, one in block["stages_ms"].items()]
    lines.append(line("one crop to its label, ms", found["crop"]["ms"]))
    lines.append(line("one crop to its label, processor ms", found["crop"]["cpu_ms"]))
    for scene in SCENES:
        one = found[scene]["agreement"]
        mean, least = one["overlap"]
        apart = "" if one["apart"] is None else f", smoothed probabilities {one['apart']:.4f} apart"
        lines.append(
            f"\n{found[scene]['name']}, {one['frames']} frames: same number of faces in {one['same_count']:.1%}, "
            f"{one['paired']:.1%} of the faces paired, same id {one['same_ids']:.1%}, overlap {mean:.3f} (least "
            f"{least:.3f}), same label {one['same_labels']:.1%}, same label shown {one['same_shown']:.1%}{apart}"
        )
    return "\n".join(lines)
