"""Tests of real writers that are killed, run out of space or wait for a lock: the folder holds one whole state."""

from __future__ import annotations

import os
import shutil
from typing import Any

import pytest

from moodspace.index.store.commit import commit
from moodspace.index.store.manifest import StorageError, read_manifest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs fork, signals and POSIX limits")


def test_kill_9_at_random_instants(tmp_path, run_faults):
    result = run_faults("disk_faults.py", "kill_at_random", tmp_path / "state", 30, 0)
    assert result["interrupted"] >= 10, "too few kills hit a commit for this test to mean anything"
    assert result["generations"] >= 1
    assert result["tidy"]


def test_two_writers_of_one_folder(tmp_path, run_faults):
    assert run_faults("disk_faults.py", "concurrent_commits", tmp_path / "state", 30) == {"trials": 30}


def test_two_writers_that_are_killed_and_a_reader(tmp_path, run_faults):
    result = run_faults("disk_faults.py", "two_writers", tmp_path / "state", 30, 0)
    assert result["reads"] >= 30
    assert result["left"] >= 5, "too few kills hit a commit for this test to mean anything"
    assert result["generation"] == 999
    assert result["tidy"]


def test_kill_9_before_every_line_of_a_commit(tmp_path, run_faults):
    states = run_faults("disk_faults.py", "kill_at_every_line", tmp_path)["states"]
    assert states == sorted(states)
    assert set(states) == {2, 3}
    assert states.count(2) > 100
    assert states.count(3) > 20


def _check(outcomes: list[dict[str, Any]], reason: str) -> list[bool]:
    for outcome in outcomes:
        assert outcome["clean"]
        if outcome["error"]:
            assert outcome["after"] == outcome["before"]
            assert reason in outcome["error"]
            assert "expected to write into this folder" in outcome["error"]
            assert "\n" not in outcome["error"]
        else:
            assert outcome["after"] == outcome["before"] + 1
    return [outcome["error"] is None for outcome in outcomes]


def test_a_limit_on_the_size_of_files(tmp_path, run_faults):
    written = _check(
        run_faults("disk_faults.py", "limited_file_size", tmp_path / "state")["outcomes"], "File too large"
    )
    assert written == [False] * 6 + [True] * 2


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs mount namespaces")
def test_a_full_disk(tmp_path, run_faults):
    outcomes = run_faults("disk_faults.py", "full_disk", tmp_path, private_disks=True)["outcomes"]
    written = [outcome["error"] is None for outcome in outcomes]
    assert written == sorted(written)
    assert 3 <= written.count(False) < len(written)
    for outcome in outcomes:
        assert outcome["clean"]
        assert outcome["error"] is None or "No space left on device" in outcome["error"]
        assert (outcome["after"] == outcome["before"]) == (outcome["error"] is not None)


@pytest.mark.skipif(not shutil.which("unshare"), reason="needs mount namespaces")
def test_a_read_only_disk(tmp_path, run_faults):
    outcomes = run_faults("disk_faults.py", "read_only_disk", tmp_path, private_disks=True)["outcomes"]
    assert _check(outcomes, "Read-only file system") == [False, False]


@pytest.mark.skipif(hasattr(os, "geteuid") and os.geteuid() == 0, reason="the superuser may write everywhere")
def test_a_read_only_folder(tmp_path):
    commit(tmp_path, {"a.bin": lambda path: path.write_bytes(b"old")}, {}, format="test-format", version=1)
    tmp_path.chmod(0o555)
    try:
        with pytest.raises(StorageError, match="Permission denied"):
            commit(tmp_path, {"a.bin": lambda path: path.write_bytes(b"new")}, {}, format="test-format", version=1)
    finally:
        tmp_path.chmod(0o755)
    assert read_manifest(tmp_path, format="test-format", version=1).path("a.bin").read_bytes() == b"old"
