"""The results of benchmark runs: what ran when, where and at which commit, with every figure that it printed."""

import json
import os
import platform
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent
ROOT = FOLDER.parent
# The end of what a benchmark prints is kept, in characters.
MAX_OUTPUT = 20_000


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a benchmark.

    Attributes:
        time: When it began, ISO 8601, UTC.
        commit: The short hash of the commit; empty outside a checkout.
        changed: Whether tracked files differed from the commit.
        machine: Processor, number of cores, system and Python.
        load: The one-minute load average when it began; None where the system has none.
        name: The benchmark.
        arguments: Its arguments.
        seconds: How long it ran.
        exit: Its exit status; 1 often stands for a missed target.
        figures: The numbers of the JSON it printed, by their path, such as `faces.8.median_ms`.
        output: The end of what it printed.
    """

    time: str
    commit: str
    changed: bool
    machine: str
    load: float | None
    name: str
    arguments: list[str]
    seconds: float
    exit: int
    figures: dict[str, float]
    output: str


def benchmark_modules() -> dict[str, Path]:
    """Return the file of each benchmark by its name, in alphabetical order.

    A benchmark is a file that runs as a program, in a folder of `benchmarks/`. Its name is that of the file, or for
    `__main__.py` that of the folder. Files whose names begin with `_` are programs that a benchmark starts.

    Raises:
        RuntimeError: Two benchmarks have one name.
    """
    found: dict[str, Path] = {}
    for path in sorted(FOLDER.glob("*/*.py")):
        name = path.parent.name if path.stem == "__main__" else path.stem
        if name.startswith("_") or '__name__ == "__main__"' not in path.read_text(encoding="utf-8"):
            continue
        if name in found:
            raise RuntimeError(f"expected one benchmark {name}, got {found[name]} and {path}")
        found[name] = path
    return dict(sorted(found.items()))


def module_name(path: Path) -> str:
    """Return the name by which Python imports or runs a file of this repository."""
    return ".".join(path.relative_to(ROOT).with_suffix("").parts)


def run_benchmark(name: str, arguments: Sequence[str]) -> Run:
    """Run a benchmark as a process of its own, show what it prints, and return the run with its figures.

    A benchmark that takes `--json` is asked for it; its documents are shown only if the arguments ask for them.
    """
    words = [str(word) for word in arguments]
    module = benchmark_modules()[name]
    silent = '"--json"' in module.read_text(encoding="utf-8") and not {"--json", "--help", "-h"} & set(words)
    if silent:
        words.append("--json")
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
    began, start = datetime.now(UTC), time.perf_counter()
    command = [sys.executable, "-m", module_name(module), *words]
    lines: list[str] = []
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, encoding="utf-8") as process:
        for line in process.stdout or ():
            if not silent:
                print(line, end="", flush=True)
            lines.append(line)
    seconds = time.perf_counter() - start
    output = "".join(lines)
    return Run(
        time=began.isoformat(timespec="seconds"),
        commit=git("rev-parse", "--short", "HEAD"),
        changed=bool(git("status", "--porcelain", "--untracked-files=no")),
        machine=machine(),
        load=None if load is None else round(load, 2),
        name=name,
        arguments=words,
        seconds=round(seconds, 1),
        exit=process.returncode,
        figures=figures(output),
        output=output[-MAX_OUTPUT:],
    )


def told(run: Run, before: Run | None = None) -> str:
    """Return the figures of a run as lines of text, with their change since the run before."""
    width = max(map(len, run.figures), default=0)
    lines = []
    for name, value in run.figures.items():
        old = before.figures.get(name) if before else None
        change = f"  {100 * (value / old - 1):+.1f} %" if old else ""
        lines.append(f"{name:{width}}  {value:>10.5g}{change}")
    return "\n".join(lines)


def run_before(runs: Sequence[Run], run: Run) -> Run | None:
    """Return the last of `runs` with the benchmark, the arguments and the machine of `run`; None without one."""
    same = (one for one in reversed(runs) if (one.name, one.arguments, one.machine) ==
            (run.name, run.arguments, run.machine))  # fmt: skip
    return next(same, None)


def figures(output: str) -> dict[str, float]:
    """Return the numbers of the JSON documents in what a benchmark printed, by their path.

    The output is one document, or lines of which some are documents. A list of objects takes the place of its number
    from the first of the keys `name`, `kind`, `faces`, `at`, `what` and `clip` that each of its objects has; so do
    several documents.
    """
    documents: list[Any] = []
    try:
        documents.append(json.loads(output))
    except ValueError:
        for line in output.splitlines():
            if line.startswith(("{", "[")):
                try:
                    documents.append(json.loads(line))
                except ValueError:
                    continue
    found: dict[str, float] = {}
    named = _names(documents)
    for name, document in zip(named, documents, strict=True):
        _collect(document, name if len(documents) > 1 else "", found)
    return found


def _collect(value: Any, path: str, found: dict[str, float]) -> None:
    if isinstance(value, bool) or value is None or isinstance(value, str):
        return
    if isinstance(value, (int, float)):
        found[path or "value"] = float(value)
        return
    if isinstance(value, list):
        value = dict(zip(_names(value), value, strict=True))
    for key, part in value.items():
        _collect(part, f"{path}.{key}" if path else str(key), found)


def _names(values: list[Any]) -> list[str]:
    for key in ("name", "kind", "faces", "at", "what", "clip"):
        if values and all(isinstance(one, dict) and isinstance(one.get(key), (str, int, float)) for one in values):
            names = [str(one[key]) for one in values]
            if len(set(names)) == len(names):
                return names
    return [str(number) for number in range(len(values))]


def machine() -> str:
    """Return the processor, the number of cores that this process may use, the system and the version of Python."""
    processor = platform.processor() or platform.machine()
    try:
        model = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(encoding="utf-8"), re.MULTILINE)
        processor = model[1] if model else processor
    except OSError:
        pass
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{processor}, {cores} cores, {platform.system()}, Python {platform.python_version()}"


def append_run(path: Path, run: Run) -> None:
    """Append a run to the results as one line.

    Raises:
        OSError: The file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(asdict(run), ensure_ascii=False) + "\n")


def read_runs(path: Path) -> list[Run]:
    """Return the runs in the order of the file.

    Raises:
        OSError: The file cannot be read.
        ValueError: A line is not a run.
    """
    runs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            runs.append(Run(**json.loads(line)))
        except (ValueError, TypeError) as error:
            raise ValueError(f"expected a run in each line, got another in line {number}") from error
    return runs


def runs_of_inputs(inputs: Mapping[str, str | None]) -> dict[str, list[str] | str]:
    """Return the arguments of each benchmark in `runs.toml`, or the name of the input that it lacks.

    Args:
        inputs: For each placeholder, such as `faces`, what takes its place; None if it was not given.
    """
    found: dict[str, list[str] | str] = {}
    for name, words in tomllib.loads((FOLDER / "runs.toml").read_text(encoding="utf-8")).items():
        places = [place for word in words for place in re.findall(r"\{(\w+)\}", word)]
        missing = [place for place in places if not inputs[place]]
        found[name] = missing[0] if missing else [word.format_map(inputs) for word in words]
    return found


def git(*words: str) -> str:
    """Return what git prints in the repository; nothing where there is no git or no repository."""
    try:
        done = subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False)
    except OSError:
        return ""
    return done.stdout.strip()
