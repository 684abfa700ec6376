"""Look up the pinned requirements in the lists of known vulnerabilities, and say plainly if that was not possible.

    python .ci/audit.py [--strict]

pip-audit asks the advisory service of the Python package index and, where that does not answer, OSV; `npm audit` asks
npm's for the packages of the static site. pip-audit reports "nothing found" even if no package could be looked up at
all, as behind a mirror that has no advisories. That is no pass, so this prints NOT RUN then. Exit with 1 if a
vulnerability is known, or with --strict if a part was not run.
"""

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# Everything that is installed for anybody: what it runs with, trains with and is tested with; and the documentation.
FILES = ("requirements/all.txt", "requirements/ray.txt", "requirements/docs.txt", "requirements/mutation.txt")
PROBE = "requirements/runtime.txt"
SERVICES = ("pypi", "osv")
_PATIENCE_S = "10"
_LIMIT_S = 180


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one audit found.

    Attributes:
        what: The audited packages.
        checked: How many were looked up.
        unknown: How many could not be.
        problem: Why the audit did not run at all; empty if it did.
        found: The known vulnerabilities, a line each.
    """

    what: str
    checked: int = 0
    unknown: int = 0
    problem: str = ""
    found: tuple[str, ...] = ()

    @property
    def ran(self) -> bool:
        """Whether any package was looked up."""
        return not self.problem and self.checked > 0

    def lines(self) -> list[str]:
        """Return what to tell."""
        if not self.ran:
            return [f"audit of {self.what}: NOT RUN: {self.problem or 'no network, or no advisories there'}"]
        rest = f"; {self.unknown} could not be looked up" if self.unknown else ""
        said = f"{len(self.found)} known vulnerabilities" if self.found else "no known vulnerability"
        return [f"audit of {self.what}: {self.checked} packages, {said}{rest}", *(f"  {one}" for one in self.found)]


Run = Callable[[Sequence[str], Path], tuple[int, str, str]]


def run(command: Sequence[str], folder: Path) -> tuple[int, str, str]:
    """Return the exit status of a command, and what it wrote to stdout and stderr."""
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_LIMIT_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        return 1, "", str(error)
    return done.returncode, done.stdout, done.stderr


def python_outcome(text: str, errors: str) -> Outcome:
    """Return the outcome from the JSON of pip-audit, and from what it wrote to stderr."""
    what = "Python packages"
    try:
        packages = json.loads(text)["dependencies"]
    except (ValueError, KeyError, TypeError):
        return Outcome(what, problem=_last_line(errors) or "no answer")
    unknown = sum("skip_reason" in one for one in packages)
    found = {
        f"{one['name']} {one['version']}: {flaw['id']}, fixed in {', '.join(flaw['fix_versions']) or 'no version yet'}"
        for one in packages
        for flaw in one.get("vulns", [])
    }
    return Outcome(what, len(packages) - unknown, unknown, found=tuple(sorted(found)))


def npm_outcome(text: str, errors: str) -> Outcome:
    """Return the outcome from the JSON of `npm audit`, and from what it wrote to stderr."""
    what = "npm packages"
    try:
        document = json.loads(text)
        flaws, total = document["vulnerabilities"], document["metadata"]["dependencies"]["total"]
    except (ValueError, KeyError, TypeError):
        problem = next((line for line in errors.splitlines() if "audit" in line), "") or _last_line(errors)
        return Outcome(what, problem=problem or "no answer")
    found = (f"{name} {one['range']}: {one['severity']}" for name, one in flaws.items())
    return Outcome(what, total, found=tuple(sorted(found)))


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or [""])[-1][:200]


def audit_python(run: Run = run) -> Outcome:
    """Audit the requirements with the first service that answers."""
    outcome = Outcome("Python packages")
    for service in SERVICES:
        # A few packages first, so that a service that is not there costs little time.
        outcome = _pip_audit(service, [PROBE], run)
        if outcome.ran:
            return _pip_audit(service, FILES, run)
    return outcome


def _pip_audit(service: str, files: Sequence[str], run: Run) -> Outcome:
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes", "--progress-spinner", "off"]
    command += ["--format", "json", "--timeout", _PATIENCE_S, "--vulnerability-service", service]
    _, text, errors = run([*command, *(word for file in files for word in ("-r", file))], ROOT)
    return python_outcome(text, errors)


def audit_npm(run: Run = run) -> Outcome:
    """Audit the packages of the static site and of its building."""
    if shutil.which("npm") is None:
        return Outcome("npm packages", problem="no npm")
    _, text, errors = run(["npm", "audit", "--json"], ROOT / "web" / "browser")
    return npm_outcome(text, errors)


def main(words: Sequence[str] | None = None) -> int:
    """Audit everything and print the outcomes; return the exit status."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--strict", action="store_true", help="fail if a part was not run")
    asked = parser.parse_args(words)
    outcomes = [audit_python(), audit_npm()]
    print("\n".join(line for one in outcomes for line in one.lines()))
    return int(any(one.found for one in outcomes) or (asked.strict and not all(one.ran for one in outcomes)))


if __name__ == "__main__":
    sys.exit(main())
