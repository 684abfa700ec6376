"""The comparison with other packages: its processes, its figures and its tables; no package is installed here."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.peers import __main__ as peers
from benchmarks.peers.environments import command, megabytes, settings


def script(path: Path, text: str) -> list[str]:
    path.write_text(text)
    return [sys.executable, str(path)]


def test_every_peer_has_its_environment_and_adapter() -> None:
    wanted = settings()
    for peer in wanted["peer"]:
        assert peer["environment"] in wanted["environment"]
        assert Path(command(peer["adapter"], "cold", Path(), Path(), [])[1]).is_file()
    pinned = [name for one in wanted["environment"].values() for name in one.get("without_requirements", [])]
    assert all("==" in name for name in pinned)


def test_a_task_gives_its_answer_its_seconds_and_its_own_memory(tmp_path: Path) -> None:
    ballast = np.ones(40_000_000)  # of this process, which the other must not be charged with
    words = script(
        tmp_path / "a.py", "import time; time.sleep(0.3); print('noise'); print('ANSWER {\"version\": \"1\"}')"
    )
    answer, seconds, memory = peers.run_task(words)
    assert answer == {"version": "1"} and seconds >= 0.3
    assert memory < ballast.nbytes / 1e6


@pytest.mark.parametrize(
    ("text", "expected"),
    [("raise SystemExit('no model here')", "exit 1, no model here"), ("print('nothing')", "exit 0")],
)
def test_a_task_that_fails_is_one_line(tmp_path: Path, text: str, expected: str) -> None:
    with pytest.raises(RuntimeError, match=expected):
        peers.run_task(script(tmp_path / "a.py", text))


def test_a_task_that_hangs_is_ended(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="took more than"):
        peers.run_task(script(tmp_path / "a.py", "import time; time.sleep(60)"), limit_s=0.2)


def test_classes_are_put_into_one_order() -> None:
    own = ["happy", "angry", "disgust", "fear", "neutral", "sad", "surprise"]
    labels = np.array([0, 3, 3, 6])  # angry, happy, happy, surprise
    proba = np.full((4, 7), 0.02)
    proba[[0, 1, 2, 3], [1, 0, 0, 5]] = 0.88  # the last one says sad
    found = peers.quality({"classes": own, "proba": proba.ravel().tolist()}, labels)
    assert found["accuracy"] == pytest.approx(75)
    assert found["ece"] == pytest.approx(13, abs=0.1)


def test_the_tables_have_a_row_for_each_package() -> None:
    one = peers.Found("a package", {"faces": [{"version": "2", "ms": {"1": 3.0, "8": 2.0, "32": 1.0}}] * 3})
    other = peers.Found("one that did not run")
    rows = [peers.summary(found, np.zeros(0, int), with_accuracy=False) for found in (one, other)]
    assert rows[0]["ms_1"] == 3 and "accuracy" not in rows[0] and rows[1]["version"] == "did not run"
    document = {"date": "2026-11-28", "machine": "m", "load": 0, "load_after": 0, "commit": "abc", "data": "d",
                "faces": 5, "rounds": 3, "peers": rows, "search": [], "map": []}  # fmt: skip
    text = peers.markdown(json.loads(json.dumps(document)))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 4 and len({line.count("|") for line in lines}) == 1
    assert "| a package | 2 |" in text


def test_linked_files_count_once(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(bytes(1_000_000))
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    assert megabytes(tmp_path) == pytest.approx(1.0)
