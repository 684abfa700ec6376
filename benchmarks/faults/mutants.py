"""Send mutated files of every kind through every entry point: predict, teach, index, explore, web uploads.

    python -m benchmarks mutants --n 2000

The checks are those of `tests/test_mutants.py`, which tries 60 files in the suite: no exception but those that say in
one line what is wrong, every file counted, no frame of another file.
"""

import argparse
import os
import subprocess
import sys

from benchmarks.results import ROOT


def main() -> int:
    """Run the checks; return pytest's exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--n", type=int, default=2000, help="how many files; default 2000")
    parser.add_argument("--seed", type=int, default=12, help="which files; default 12")
    asked = parser.parse_args()
    environment = os.environ | {"MOODSPACE_MUTANTS": str(asked.n), "MOODSPACE_SEED": str(asked.seed)}
    command = [sys.executable, "-m", "pytest", "-n", "0", "--durations", "8", "tests/test_mutants.py"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
