"""What visitors may keep for a while: in one place, gone with the server, also with one that was killed."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from web import private_folder as private

ROOT = Path(__file__).parents[2]
KEEPER = """
import sys
from pathlib import Path
from web import private_folder as private
private._MEMORY = Path(sys.argv[1])
print(private.private_folder(), flush=True)
sys.stdin.read()
"""


@pytest.fixture(autouse=True)
def memory(tmp_path, monkeypatch):
    path = tmp_path / "memory"
    path.mkdir()
    monkeypatch.setattr(private, "_MEMORY", path)
    yield path
    private.remove_home()


def test_folders_are_apart_and_closed_to_others(memory) -> None:
    first, second = private.private_folder(), private.private_folder()
    assert first != second and first.is_relative_to(memory) and first.parent == second.parent
    assert first.stat().st_mode & 0o077 == 0 == first.parent.stat().st_mode & 0o077
    assert str(os.getpid()) in first.parent.name


def test_the_end_removes_all_and_what_is_asked_for_later_has_a_place(memory) -> None:
    (private.private_folder() / "numbers").write_text("1")
    private.remove_home()
    private.remove_home()
    assert not list(memory.iterdir())
    assert private.private_folder().is_dir()


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such locks")
def test_what_a_killed_server_left_is_removed_and_nothing_else(memory, tmp_path) -> None:
    mine, other = private.private_folder(), tmp_path / "other"
    other.mkdir()
    (memory / "moodspace-web-1-link").symlink_to(other)
    (memory / "moodspace-web-1-file").write_text("no folder")
    (memory / "moodspace-of-something-else").mkdir()
    command = [sys.executable, "-c", KEEPER, str(memory)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        theirs = Path(server.stdout.readline().strip())
        (theirs / "numbers").write_text("1")
        assert private.remove_left() == 0 and theirs.is_dir()  # it still runs
        server.kill()
    assert private.remove_left() == 1
    assert not theirs.parent.exists() and mine.is_dir() and other.is_dir()
    assert len(list(memory.iterdir())) == 4
