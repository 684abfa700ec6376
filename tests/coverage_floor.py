"""Compare the coverage of the suite with its floor.

    .venv/bin/python -m pytest --cov --cov-report=json:build/coverage.json
    .venv/bin/python -m tests.coverage_floor build/coverage.json

Prints the covered share of branches and lines of each folder; the processes that tests start are counted too. Exit with
1 if a share of all folders together is below its floor. The folder of the window is left out of that: its tests need a
display and skip without one.
"""

import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

# Percent, just below what the whole suite covers. Raise them when it covers more; never lower them for a change.
FLOORS = {"branches": 94.0, "lines": 97.3}
LEFT_OUT = "realtime/window"
_COUNTS = {"branches": ("covered_branches", "num_branches"), "lines": ("covered_lines", "num_statements")}

Counts = dict[str, list[int]]


def counts_by_folder(files: dict[str, dict[str, dict[str, int]]]) -> dict[str, Counts]:
    """Return for each folder, by what is counted, how much is covered and how much there is.

    Args:
        files: The files of coverage's JSON report, each with its `summary`.

    Raises:
        ValueError: The report has no branches.
    """
    found: dict[str, Counts] = defaultdict(lambda: {name: [0, 0] for name in _COUNTS})
    for path, one in files.items():
        place = Path(path).as_posix()
        folder = LEFT_OUT if place.startswith(f"{LEFT_OUT}/") else place.split("/")[0]
        for name, keys in _COUNTS.items():
            for at, key in enumerate(keys):
                if key not in one["summary"]:
                    raise ValueError(f"{path}: expected {key}, got none; measure with branch = true")
                found[folder][name][at] += one["summary"][key]
    return dict(sorted(found.items()))


def percent(covered: int, there: int) -> float:
    """Return a share in percent; 100 of nothing."""
    return 100 * covered / there if there else 100.0


def main(words: Sequence[str] | None = None) -> int:
    """Print the shares; return 1 if one is below its floor."""
    (report,) = sys.argv[1:] if words is None else words
    folders = counts_by_folder(json.loads(Path(report).read_text(encoding="utf-8"))["files"])
    total = {
        name: [sum(one[name][at] for folder, one in folders.items() if folder != LEFT_OUT) for at in (0, 1)]
        for name in _COUNTS
    }
    print(f"{'covered, %':<20}{'branches':>10}{'lines':>10}")
    for folder, one in {**folders, f"all but {LEFT_OUT.split('/')[1]}": total}.items():
        print(f"{folder:<20}{percent(*one['branches']):>10.1f}{percent(*one['lines']):>10.1f}")
    low = {name: percent(*counted) for name, counted in total.items() if percent(*counted) < FLOORS[name]}
    for name, share in low.items():
        print(f"{name}: expected at least {FLOORS[name]} %, got {share:.2f} %", file=sys.stderr)
    return int(bool(low))


if __name__ == "__main__":
    sys.exit(main())
