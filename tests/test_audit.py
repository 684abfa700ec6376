"""The audit of requirements: what was found, and that nothing looked up is never a pass."""

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def audit() -> ModuleType:
    spec = importlib.util.spec_from_file_location("audit", ROOT / ".ci" / "audit.py")
    assert spec is not None and spec.loader is not None
    module = sys.modules["audit"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(*packages: dict[str, object]) -> str:
    return json.dumps({"dependencies": packages, "fixes": []})


SOUND = {"name": "numpy", "version": "2.4.6", "vulns": []}
FLAWED = {"name": "pillow", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2", "3"]}]}
UNKNOWN = {"name": "rich", "skip_reason": "Dependency not found and could not be audited: rich (15.0.0)"}


def test_a_known_vulnerability_is_told_with_what_mends_it(audit: ModuleType) -> None:
    outcome = audit.python_outcome(answer(SOUND, FLAWED, UNKNOWN), "")
    assert outcome.lines() == [
        "audit of Python packages: 2 packages, 1 known vulnerabilities; 1 could not be looked up",
        "  pillow 1: CVE-1, fixed in 2, 3",
    ]
    assert audit.python_outcome(answer(SOUND), "").lines() == [
        "audit of Python packages: 1 packages, no known vulnerability"
    ]


@pytest.mark.parametrize("text", [answer(UNKNOWN), answer(), "", "[]", "null"])
def test_nothing_looked_up_is_not_a_pass(audit: ModuleType, text: str) -> None:
    outcome = audit.python_outcome(text, "Traceback\n...\nConnectionError: no host")
    assert not outcome.ran and outcome.lines()[0].startswith("audit of Python packages: NOT RUN: ")


def test_an_answer_of_npm_is_read_and_its_refusal_is_not_a_pass(audit: ModuleType) -> None:
    flaw = {"name": "esbuild", "severity": "moderate", "range": "<0.25"}
    told = {"vulnerabilities": {"esbuild": flaw}, "metadata": {"dependencies": {"total": 40}}}
    assert audit.npm_outcome(json.dumps(told), "").found == ("esbuild <0.25: moderate",)
    refused = audit.npm_outcome(
        '{"message": "405", "statusCode": 405}', "npm warn audit 405 Method Not Allowed\nnpm error"
    )
    assert refused.lines() == ["audit of npm packages: NOT RUN: npm warn audit 405 Method Not Allowed"]


def test_the_second_service_is_asked_where_the_first_does_not_answer(audit: ModuleType) -> None:
    asked = []

    def run(command: list[str], folder: Path) -> tuple[int, str, str]:
        service = command[command.index("--vulnerability-service") + 1]
        asked.append((service, command.count("-r")))
        return 0, answer(SOUND if service == "osv" else UNKNOWN), ""

    assert audit.audit_python(run).ran
    assert asked == [("pypi", 1), ("osv", 1), ("osv", len(audit.FILES))]


def test_all_requirements_of_people_are_audited(audit: ModuleType) -> None:
    assert all((ROOT / file).is_file() for file in (*audit.FILES, audit.PROBE))
    left_out = {"runtime.txt", "web.txt", "headless.txt", "audit.txt"}  # in all.txt with the same pins, or for CI alone
    assert {path.name for path in (ROOT / "requirements").glob("*.txt")} - left_out == {
        Path(file).name for file in audit.FILES
    }


@pytest.mark.parametrize(("ran", "found", "strict", "expected"), [
    (True, (), False, 0), (True, ("x",), False, 1), (False, (), False, 0), (False, (), True, 1), (True, (), True, 0),
])  # fmt: skip
def test_a_known_vulnerability_fails_and_with_strict_what_was_not_run(
    audit: ModuleType, monkeypatch: pytest.MonkeyPatch, ran: bool, found: tuple[str, ...], strict: bool, expected: int
) -> None:
    monkeypatch.setattr(audit, "audit_python", lambda: audit.Outcome("Python packages", int(ran), found=found))
    monkeypatch.setattr(audit, "audit_npm", lambda: audit.Outcome("npm packages", 3))
    assert audit.main(["--strict"] if strict else []) == expected
