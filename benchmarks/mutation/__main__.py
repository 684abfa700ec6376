"""Change the code of a folder in one place at a time, and count how many changes the tests of that folder notice.

    python -m benchmarks mutation classifier index --sample 400
    make mutation

mutmut makes the changes ("mutants"): another operator, number, text, argument or default in a function. A random sample
of them is run, the same for a seed, each against those fast tests of the same folder that call the changed function. A
change is killed if a test fails or hangs. The printed share has a 95 % confidence interval (Wilson) for all mutants of
the folder. Survivors are printed with their change, but for those that `equivalent.toml` lists: changes that alter no
behavior, each with the reason. The share without them is printed beside the raw one.

What was run stays in `build/mutation`, so a run that `--minutes` or Ctrl-C ends goes on the next time; mutants that
survived are run again, since tests may have been added. Exit with 1 if fewer than 85 % are killed or the sample is not
finished, with 2 where mutmut is missing: `make mutation` installs it. TensorFlow is not needed.
"""

import argparse
import contextlib
import importlib.util
import json
import math
import os
import random
import re
import signal
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from benchmarks.mutation.staging import ROOT, lay_out

BAR = 0.85
FOLDERS = ("classifier", "index")
EQUIVALENT = Path(__file__).with_name("equivalent.toml")
# By exit status of the tests, as mutmut has them; anything else stands for a hang or crash, which is noticed.
_SURVIVED, _NO_TESTS, _INTERRUPTED, _NOTICED = 0, (5, 33), (2, None), (1, 3)
_SEEN = (_SURVIVED, *_NO_TESTS, *_INTERRUPTED)
_Z = 1.96


@dataclass(frozen=True, slots=True)
class Change:
    """The change of a mutant.

    Attributes:
        mutant: Its name in mutmut, which begins with the module and the function.
        removed: The changed lines as they were, without indentation.
        added: The lines in their place.
    """

    mutant: str
    removed: str
    added: str

    @property
    def where(self) -> str:
        """The module and the function."""
        return function_of(self.mutant)


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of a folder.

    Attributes:
        mutants: How many there are in all.
        sample: How many were to run.
        pending: How many of them have not.
        killed: How many the tests noticed.
        equivalent: How many of the others are listed as equivalent.
        untested: How many are in functions that no test called.
        hung_or_crashed: How many were noticed because the tests hung or crashed.
        share: The share killed.
        low: The lower end of its 95 % confidence interval.
        high: The upper end.
        share_without_equivalent: The share killed of those that are not listed as equivalent.
        survivors: The changes that nothing noticed, without the equivalent ones.
    """

    mutants: int
    sample: int
    pending: int
    killed: int
    equivalent: int
    untested: int
    hung_or_crashed: int
    share: float
    low: float
    high: float
    share_without_equivalent: float
    survivors: list[Change]


def function_of(mutant: str) -> str:
    """Return the module and function of a mutant, such as `classifier.metrics.ece` or `index.search.Index.add`."""
    module, _, name = mutant.rpartition("__mutmut_")[0].rpartition(".")
    return f"{module.removeprefix('moodspace.')}.{re.sub('^x[_ǁ]', '', name).replace('ǁ', '.')}"


def interval(killed: int, run: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share, after Wilson."""
    if not run:
        return 0.0, 1.0
    share, square = killed / run, _Z**2
    middle = (share + square / (2 * run)) / (1 + square / run)
    half = _Z * math.sqrt(share * (1 - share) / run + square / (4 * run**2)) / (1 + square / run)
    return max(0.0, middle - half), min(1.0, middle + half)


def sample_of(names: Iterable[str], count: int, seed: int) -> list[str]:
    """Return a random sample of the mutants, the same for a seed; all if there are no more."""
    ordered = sorted(names)
    return sorted(random.Random(seed).sample(ordered, min(count, len(ordered))))


def statuses(stage: Path) -> dict[str, int | None]:
    """Return the exit status of the tests for each mutant; None for those that have not run."""
    found: dict[str, int | None] = {}
    for path in (stage / "mutants").rglob("*.meta"):
        found |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def change_of(mutant: str, diff: str) -> Change:
    """Return the change of a mutant from its unified diff."""
    lines = [line for line in diff.splitlines() if not line.startswith(("---", "+++", "@@", "#"))]
    removed, added = (" ".join(line[1:].strip() for line in lines if line.startswith(sign)) for sign in "-+")
    return Change(mutant, removed, added)


def equivalents() -> list[dict[str, str]]:
    """Return the listed changes that no test can notice: `where`, `removed`, `added` and `reason` each."""
    found: list[dict[str, str]] = tomllib.loads(EQUIVALENT.read_text(encoding="utf-8")).get("change", [])
    return found


def is_listed(change: Change, listed: Iterable[dict[str, str]]) -> bool:
    """Return whether a change is listed; `*` in the listed texts stands for anything."""
    return any(
        all(
            re.fullmatch(".*".join(map(re.escape, one[name].split("*"))), getattr(change, name), re.DOTALL)
            for name in ("where", "removed", "added")
        )
        for one in listed
    )


def main() -> None:
    """Read the arguments, run, and print the figures; exit with 1 if too few mutants are killed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", default=FOLDERS, metavar="FOLDER", help="default classifier and index")
    parser.add_argument("--sample", type=int, default=400, help="how many mutants of each folder; default 400")
    parser.add_argument("--seed", type=int, default=17, help="which ones; default 17")
    parser.add_argument("--minutes", type=float, default=math.inf, help="end each folder after this time; go on later")
    parser.add_argument("--workers", type=int, default=os.cpu_count(), help="mutants at once; default all cores")
    parser.add_argument("--stage", type=Path, default=ROOT / "build" / "mutation", help="where the copies go")
    parser.add_argument("--report", action="store_true", help="run nothing; report what was run")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    asked = parser.parse_args()
    for folder in asked.folders:
        if not (ROOT / "tests" / folder).is_dir():
            parser.error(f"expected folders with tests, such as classifier and index, got {folder}")
    if not asked.report and importlib.util.find_spec("mutmut") is None:
        parser.error("expected mutmut, found none; run it with `make mutation`")
    found = {folder: _folder_figures(folder, asked) for folder in asked.folders}
    if asked.json:
        print(json.dumps({folder: asdict(one) for folder, one in found.items()}))
    else:
        print("\n\n".join(text_of(folder, one) for folder, one in found.items()))
    raise SystemExit(any(one.pending or one.share_without_equivalent < BAR for one in found.values()))


def _folder_figures(folder: str, asked: argparse.Namespace) -> Figures:
    stage = asked.stage / folder
    if not asked.report:
        lay_out(stage, folder)
        if not statuses(stage):
            _mutmut(stage, asked, ["-"])  # no mutant has this name, so that they are only made
        now = statuses(stage)
        if again := [name for name in sample_of(now, asked.sample, asked.seed) if now[name] in _SEEN]:
            _mutmut(stage, asked, again)
    now = statuses(stage)
    sample = {name: now[name] for name in sample_of(now, asked.sample, asked.seed)}
    return figures_of(sample, [_change(stage, name) for name in missed(sample)], len(now), equivalents())


def missed(sample: dict[str, int | None]) -> list[str]:
    """Return the mutants that no test noticed."""
    return [name for name, status in sample.items() if status in (_SURVIVED, *_NO_TESTS)]


def figures_of(
    sample: dict[str, int | None], changes: list[Change], mutants: int, listed: list[dict[str, str]]
) -> Figures:
    """Return the figures of a folder.

    Args:
        sample: The exit status of the tests for each mutant of the sample.
        changes: The changes that no test noticed.
        mutants: How many mutants the folder has in all.
        listed: The equivalent changes.
    """
    survivors = [one for one in changes if not is_listed(one, listed)]
    pending = sum(status in _INTERRUPTED for status in sample.values())
    run = len(sample) - pending
    killed = run - len(changes)
    equivalent = len(changes) - len(survivors)
    low, high = interval(killed, run)
    return Figures(
        mutants=mutants, sample=len(sample), pending=pending, killed=killed, equivalent=equivalent,
        untested=sum(status in _NO_TESTS for status in sample.values()),
        hung_or_crashed=sum(status not in (*_NOTICED, *_SEEN) for status in sample.values()),
        share=killed / max(1, run), low=low, high=high, share_without_equivalent=killed / max(1, run - equivalent),
        survivors=survivors,
    )  # fmt: skip


def _mutmut(stage: Path, asked: argparse.Namespace, names: list[str]) -> None:
    command = [sys.executable, "-m", "mutmut", "run", "--max-children", str(asked.workers), *names]
    # Threads of libraries on top of the workers only slow each other down.
    environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "PYTHONPATH": ""}
    log = stage / "mutmut.log"
    with log.open("w", encoding="utf-8") as out:
        process = subprocess.Popen(
            command, cwd=stage, env=environment, stdout=out, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            process.wait(None if math.isinf(asked.minutes) else 60 * asked.minutes)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            os.killpg(process.pid, signal.SIGTERM)
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(10)
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if not statuses(stage):
        end = log.read_text(encoding="utf-8").strip().splitlines()[-1:]
        raise SystemExit(f"expected mutmut to change the code, got: {' '.join(end)[-300:]}; see {log}")


def _change(stage: Path, mutant: str) -> Change:
    done = subprocess.run(
        [sys.executable, "-m", "mutmut", "show", mutant], cwd=stage, capture_output=True, text=True, check=False
    )
    return change_of(mutant, done.stdout)


def text_of(folder: str, found: Figures) -> str:
    """Return the figures of a folder as text, with the survivors."""
    run = found.sample - found.pending
    lines = [
        f"{folder}: {found.killed} of {run} mutants killed, {100 * found.share:.1f} %; all {found.mutants} mutants: "
        f"{100 * found.low:.1f} to {100 * found.high:.1f} % (95 % interval)",
        f"{found.equivalent} of the survivors change no behavior: {100 * found.share_without_equivalent:.1f} % "
        f"without them; {found.untested} are in functions that no fast test calls; "
        f"{found.hung_or_crashed} of the killed ones made the tests hang or crash",
    ]
    by_place = Counter(one.where for one in found.survivors)
    for one in sorted(found.survivors, key=lambda one: (-by_place[one.where], one.mutant)):
        lines.append(f"  {one.mutant}\n    - {one.removed}\n    + {one.added}")
    if found.pending:
        lines.append(f"{found.pending} of {found.sample} have not been run; run it again")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
