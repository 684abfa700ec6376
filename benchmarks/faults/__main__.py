"""Make things go wrong and count what survives: kills, changed inputs, full disks, clocks, cameras, receivers, clients.

    python -m benchmarks faults
    python -m benchmarks faults --kills 10000 --mutants 10000 --seconds 60
    python -m benchmarks faults --only kills --kills 3000 --seed 2

The defaults take under a minute on two idle cores. Traffic goes to this machine only. Inputs that show a fault are kept
in `build/faults/`. Exit with 1 if there is a fault. Linux only.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from benchmarks.faults.outcome import Amount, Check, Outcome, table, timed
from benchmarks.results import ROOT, git, machine

_FOUND = ROOT / "build" / "faults"


def checks() -> dict[str, Check]:
    """Return the checks by name."""
    from benchmarks.faults.clients import crowd_the_server
    from benchmarks.faults.commands import run_commands
    from benchmarks.faults.fuzz import fuzz_all
    from benchmarks.faults.kills import kill_writers
    from benchmarks.faults.surroundings import disturb

    return {
        "kills": kill_writers, "mutants": fuzz_all, "commands": run_commands, "surroundings": disturb,
        "server": crowd_the_server,
    }  # fmt: skip


NAMES = ("kills", "mutants", "commands", "surroundings", "server")


def main() -> int:
    """Run the checks; return 1 if there is a fault."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=60, help="how many writers are killed; default %(default)s")
    parser.add_argument("--mutants", type=int, default=500, help="how many inputs are changed; default %(default)s")
    parser.add_argument("--clients", type=int, default=50, help="clients of the server at once; default %(default)s")
    parser.add_argument("--seconds", type=float, default=5.0, help="how long they stay; default %(default)s")
    parser.add_argument("--seed", type=int, default=17, help="which instants and changes; default %(default)s")
    parser.add_argument("--only", action="append", choices=NAMES, help="only these checks; may be repeated")
    parser.add_argument("--out", type=Path, help="also write the table to this Markdown file")
    parser.add_argument("--json", action="store_true", help="print JSON and nothing else")
    asked = parser.parse_args()
    amount = Amount(asked.kills, asked.mutants, asked.clients, asked.seconds, asked.seed)
    _FOUND.mkdir(parents=True, exist_ok=True)
    outcomes: list[Outcome] = []
    for name, check in checks().items():
        if asked.only and name not in asked.only:
            continue
        with tempfile.TemporaryDirectory(prefix="moodspace-faults-") as folder:
            where = _FOUND if name == "mutants" else Path(folder)
            outcomes += timed(lambda check=check, where=where: check(amount, where))  # type: ignore[misc]
        for one in outcomes:
            for told in one.faults[:5] if not asked.json else ():
                print(f"{one.name}: {told}", file=sys.stderr)
    shown = table(outcomes)
    if asked.out:
        head = f"`python -m benchmarks faults {' '.join(sys.argv[1:])}`, commit {git('rev-parse', '--short', 'HEAD')}, "
        asked.out.write_text(f"{head}{machine()}\n\n{shown}\n", encoding="utf-8")
    print(json.dumps({"checks": [one.figures() for one in outcomes]}) if asked.json else shown)
    return int(any(one.faults for one in outcomes))


if __name__ == "__main__":
    sys.exit(main())
