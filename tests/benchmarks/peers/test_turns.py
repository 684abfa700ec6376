"""Running adapters in turn: what a process gives, how it fails, and in which order they run."""

import json
import os
import sys
from pathlib import Path

import pytest

from benchmarks.peers.turns import Found, Others, run_task, take_turns


def script(path: Path, text: str) -> list[str]:
    path.write_text(text)
    return [sys.executable, str(path), "cold"]


def test_a_task_gives_its_answer_and_the_seconds_of_its_process(tmp_path: Path) -> None:
    words = script(
        tmp_path / "a.py", "import time; time.sleep(0.3); print('noise'); print('ANSWER {\"version\": \"1\"}')"
    )
    answer, seconds = run_task(words)
    assert answer == {"version": "1"} and seconds >= 0.3


@pytest.mark.parametrize(
    ("text", "expected"),
    [("raise SystemExit('no model here')", "a.py cold: exit 1, no model here"), ("print('nothing')", "exit 0")],
)
def test_a_task_that_fails_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(RuntimeError, match=expected):
        run_task(script(tmp_path / "a.py", text))


def test_a_task_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="took more than"):
        run_task(script(tmp_path / "a.py", "import time; time.sleep(60)"), limit_s=0.2)


def test_a_program_that_is_missing_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="nowhere: No such file"):
        run_task([str(tmp_path / "nowhere"), "a.py", "cold"])


def test_a_failed_round_keeps_its_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = Found("a package")
    found.run("cold", script(tmp_path / "a.py", "raise SystemExit('no model here')"))
    found.run("cold", script(tmp_path / "b.py", 'print(\'ANSWER {"version": "2"}\')'))
    assert found.answers["cold"] == [None, {"version": "2"}] and found.seconds["cold"][0] is None
    assert found.done("cold") == [{"version": "2"}] and found.version == "2"
    assert found.failures == ["cold: a.py cold: exit 1, no model here"]
    assert "a package" in capsys.readouterr().err


def test_packages_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []

    def run(words: list[str], limit_s: float) -> tuple[dict[str, str], float]:
        ran.append(f"{words[0].split('/')[-3]} {words[2]}")
        return {"version": "1"}, 0.1

    monkeypatch.setattr("benchmarks.peers.turns.run_task", run)
    peers = [
        {"name": name, "environment": name, "adapter": "a.py"} | more
        for name, more in (("one", {}), ("untimed", {"times": False}), ("two", {}))
    ]
    environments = {peer["name"]: tmp_path / str(peer["name"]) for peer in peers}
    found = take_turns(peers, environments, tmp_path, 2, ("cold", "time"))
    assert ran == 2 * ["one cold", "two cold", "one time", "two time"]
    assert len(found["one"].answers["cold"]) == 2 and found["untimed"].answers == {}


@pytest.mark.skipif(not Path("/proc/stat").exists(), reason="the system does not tell")
def test_what_other_programs_use_leaves_out_this_one() -> None:
    others = Others()
    ticks = os.sysconf("SC_CLK_TCK")
    own = sum(os.times()[:4])
    others._begun = (0.0, 0.0, own - 10.0)
    now = Others._now()
    assert now is not None
    share = others.percent()
    total, busy = now[0], now[1]
    assert share == pytest.approx(100 * (busy - 10) / total, abs=0.5)
    assert ticks > 0 and json.dumps(share)
