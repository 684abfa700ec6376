"""What visitors may keep for a while: in one place, gone with the server, also with one that was killed."""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from moodspace.web.server import private_folder as private

ROOT = Path(__file__).parents[3]
KEEPER = """
import sys
from pathlib import Path
from moodspace.web.server import private_folder as private
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


def test_what_a_killed_server_left_is_removed_and_nothing_else(memory, tmp_path) -> None:
    mine, other = private.private_folder(), tmp_path / "other"
    other.mkdir()
    with suppress(OSError):  # Windows asks for a right
        (memory / "moodspace-web-1-link").symlink_to(other)
    (memory / "moodspace-web-1-file").write_text("no folder")
    (memory / "moodspace-of-something-else").mkdir()
    command = [sys.executable, "-c", KEEPER, str(memory)]
    with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        theirs = Path(server.stdout.readline().strip())
        (theirs / "numbers").write_text("1")
        assert private.remove_abandoned() == 0 and theirs.is_dir()  # it still runs
        server.kill()
    assert private.remove_abandoned() == 1
    assert not theirs.parent.exists() and mine.is_dir() and other.is_dir()
    assert len(list(memory.glob("moodspace-web-1-*"))) == 1 + (memory / "moodspace-web-1-link").is_symlink()


def test_a_folder_whose_maker_was_killed_before_it_was_locked_is_removed_later(memory) -> None:
    half = memory / "moodspace-web-1-half"
    half.mkdir()
    assert private.remove_abandoned() == 0 and half.is_dir()  # it may be in the making
    os.utime(half, (0, 0))
    assert private.remove_abandoned() == 1 and not half.exists()


def test_another_thread_may_remove_all(memory) -> None:
    with ThreadPoolExecutor(4) as threads:
        made = list(threads.map(lambda _: private.private_folder(), range(8)))
        assert len({path.parent for path in made}) == 1 and len(set(made)) == 8
        threads.submit(private.remove_home).result()
    assert not list(memory.iterdir())


def test_the_lock_needs_nothing_of_posix(memory, monkeypatch) -> None:
    monkeypatch.delattr(os, "getuid", raising=False)
    mine = private.private_folder()
    assert private.remove_abandoned() == 0 and mine.is_dir()
    left = mine.parent.with_name("moodspace-web-2-left")
    shutil.copytree(mine.parent, left)
    assert private.remove_abandoned() == 1 and mine.is_dir() and not left.exists()
