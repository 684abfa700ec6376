"""Run the adapters, one process at a time, in turn."""

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.peers.environments import command

LIMIT_S = 900


@dataclass(slots=True)
class Found:
    """What was measured of one package.

    Attributes:
        name: The package.
        answers: For each task the adapter's answer in each round, None where it failed.
        seconds: For each task the seconds of each whole process, None where it failed.
        failures: One line for each task that failed.
    """

    name: str
    answers: dict[str, list[dict[str, Any] | None]] = field(default_factory=dict)
    seconds: dict[str, list[float | None]] = field(default_factory=dict)
    failures: list[str] = field(default_factory=list)

    @property
    def version(self) -> str:
        """The version that the package gave; empty if it never ran."""
        told = [one["version"] for answers in self.answers.values() for one in answers if one]
        return str(told[0]) if told else ""

    def done(self, task: str) -> list[dict[str, Any]]:
        """Return the answers of the rounds in which the task did not fail."""
        return [one for one in self.answers.get(task, []) if one]

    def run(self, task: str, words: Sequence[str], limit_s: float = LIMIT_S) -> None:
        """Run a task once more and keep what it gave."""
        answer: dict[str, Any] | None = None
        seconds: float | None = None
        try:
            answer, seconds = run_task(words, limit_s)
        except RuntimeError as error:
            self.failures.append(f"{task}: {error}")
            print(f"{self.name}: {error}", file=sys.stderr, flush=True)
        else:
            print(f"{task}, {self.name}: {seconds:.1f} s", file=sys.stderr, flush=True)
        self.answers.setdefault(task, []).append(answer)
        self.seconds.setdefault(task, []).append(seconds)


def run_task(words: Sequence[str], limit_s: float = LIMIT_S) -> tuple[dict[str, Any], float]:
    """Run an adapter; return its answer and the seconds of its process.

    Raises:
        RuntimeError: It failed, took too long or printed no answer.
    """
    what = f"{Path(words[1]).name} {' '.join(words[2:3])}".strip()
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    started = time.perf_counter()
    try:
        done = subprocess.run(
            words, capture_output=True, cwd=tempfile.gettempdir(), env=environment, timeout=limit_s, check=False
        )
    except subprocess.TimeoutExpired:
        raise RuntimeError(f"{what}: took more than {limit_s:g} s") from None
    except OSError as error:
        raise RuntimeError(f"{what}: {words[0]}: {error.strerror}") from None
    seconds = time.perf_counter() - started
    answers = [line for line in done.stdout.decode(errors="replace").splitlines() if line.startswith("ANSWER ")]
    if done.returncode or not answers:
        last = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise RuntimeError(f"{what}: exit {done.returncode}, {''.join(last)}")
    return json.loads(answers[-1].removeprefix("ANSWER ")), seconds


def take_turns(
    peers: Sequence[dict[str, Any]], environments: dict[str, Path], inputs: Path, rounds: int, tasks: Sequence[str]
) -> dict[str, Found]:
    """Run the tasks of every package that is timed `rounds` times: in each round every package once."""
    found = {peer["name"]: Found(peer["name"]) for peer in peers}
    for _ in range(rounds):
        for task in tasks:
            for peer in peers:
                if peer.get("times", True):
                    environment = environments[peer["environment"]]
                    words = command(peer["adapter"], task, inputs, environment, peer.get("words", []))
                    found[peer["name"]].run(task, words)
    return found


class Others:
    """How much of the processor other programs use, from now on."""

    def __init__(self) -> None:
        self._begun = self._now()

    def percent(self) -> float | None:
        """Return the share of the processor's time that neither was idle nor went to this run; None if not known."""
        if self._begun is None or (now := self._now()) is None:
            return None
        total, busy, own = (after - before for after, before in zip(now, self._begun, strict=True))
        return round(100 * max(0.0, busy - own) / total, 1) if total > 0 else None

    @staticmethod
    def _now() -> tuple[float, float, float] | None:
        try:
            words = Path("/proc/stat").read_text(encoding="ascii").splitlines()[0].split()[1:9]
        except OSError:
            return None
        ticks = [int(word) / os.sysconf("SC_CLK_TCK") for word in words]
        return sum(ticks), sum(ticks) - ticks[3] - ticks[4], sum(os.times()[:4])
