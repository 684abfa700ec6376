"""Read changed inputs with every fuzz target, in other processes: a crash or a hang is a fault like any other."""

import json
import os
import random
import resource
import select
import signal
import time
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.faults.mutate import mutate
from benchmarks.faults.outcome import Amount, Outcome
from benchmarks.faults.targets import TARGETS, Target

# An input may take so long on a busy machine, and a process may reserve so much memory.
_PATIENCE_S, _MEMORY = 60.0, 16 * 2**30


def fuzz_all(amount: Amount, folder: Path) -> list[Outcome]:
    """Feed all targets with their shares of the inputs; keep inputs that show a fault in a folder.

    Args:
        amount: How many inputs.
        folder: Gets the inputs that show a fault.
    """
    total = sum(target.share for target in TARGETS.values())
    return [
        fuzz(name, target, max(1, round(amount.mutants * target.share / total)), amount.seed, folder)
        for name, target in TARGETS.items()
    ]


def fuzz(name: str, target: Target, count: int, seed: int, folder: Path) -> Outcome:
    """Feed one target.

    Args:
        name: Its name.
        target: The target.
        count: How many inputs.
        seed: Of the changes.
        folder: Gets the inputs that show a fault.
    """

    def work(first: int, tell: Callable[[dict[str, Any]], None]) -> None:
        seeds = target.seeds()
        for number in range(first, count):
            rng = random.Random(f"{seed}-{name}-{number}")
            data = mutate(seeds[number % len(seeds)], target.kind, rng)
            tell({"begins": number})
            try:
                tell({"number": number, "read": target.fuzz_one(data)})
            except Exception as error:
                place = traceback.extract_tb(error.__traceback__)[-1]
                told = f"{type(error).__name__}: {error} ({Path(place.filename).name}:{place.lineno})"
                (folder / f"{name}-{number}").write_bytes(data)
                tell({"number": number, "fault": told})

    outcome = Outcome(f"changed inputs: {name.replace('_', ' ')}")
    began = time.perf_counter()
    watch(work, count, outcome)
    outcome.seconds = time.perf_counter() - began
    outcome.counts["read"] = outcome.tried - outcome.landed - len(outcome.faults)
    return outcome


def watch(work: Callable[[int, Callable[[dict[str, Any]], None]], None], count: int, outcome: Outcome) -> None:
    """Let a process try inputs from a number on, and start it anew where it crashed or hung.

    Args:
        work: Tries the inputs; tells `begins` with the number of each, and `read` or `fault` of it.
        count: How many inputs.
        outcome: Gets the counts.
    """
    first = 0
    while first < count:
        last = first
        for told in _told_by(work, first):
            if "begins" in told:
                last = told["begins"]
                continue
            if "ended" in told:
                if told["ended"]:
                    outcome.tried += 1
                    outcome.fault(f"input {last}: {told['ended']}")
                break
            outcome.tried += 1
            outcome.landed += told.get("read") is False
            if "fault" in told:
                outcome.fault(f"input {told['number']}: {told['fault']}")
            last = told["number"] + 1
        first = last + 1 if told.get("ended") else count


def _told_by(work: Callable[[int, Callable[[dict[str, Any]], None]], None], first: int) -> Any:
    """Yield what a process tells, and at last `ended` with what went wrong, or with nothing."""
    read_end, write_end = os.pipe()
    child = os.fork()
    if not child:
        os.close(read_end)
        # What native libraries say of damaged files is no answer of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, resource.RLIM_INFINITY))
        status = 0
        try:
            work(first, lambda told: _write(write_end, told))
        except BaseException:
            _write(write_end, {"fault": traceback.format_exc()[-600:], "number": first})
            status = 1
        finally:
            os._exit(status)
    os.close(write_end)
    rest, ended = b"", ""
    with os.fdopen(read_end, "rb", buffering=0) as pipe:
        while True:
            if not select.select([pipe], [], [], _PATIENCE_S)[0]:
                ended = f"no answer within {_PATIENCE_S:.0f} s"
                os.kill(child, signal.SIGKILL)
                break
            got = pipe.read(65536)
            if not got:
                break
            *lines, rest = (rest + got).split(b"\n")
            for line in lines:
                yield json.loads(line)
    _, status = os.waitpid(child, 0)
    if not ended and os.WIFSIGNALED(status):
        ended = f"killed by signal {os.WTERMSIG(status)}"
    yield {"ended": ended}


def _write(pipe: int, told: dict[str, Any]) -> None:
    line = json.dumps(told).encode() + b"\n"
    while line:
        line = line[os.write(pipe, line) :]
