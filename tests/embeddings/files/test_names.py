"""Files are written whole or not at all, also by several programs at once, and new names never replace a file."""

import errno
import os
from pathlib import Path

import pytest

from moodspace.embeddings.files.names import rename_new, write_whole


def test_what_interrupts_a_write_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")

    def half(file: Path) -> None:
        file.write_text("ne")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_whole(path, half)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_two_writers_of_one_file_leave_one_of_their_states(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"

    def first(file: Path) -> None:
        file.write_text("first, long")
        write_whole(path, lambda other: other.write_text("second"))
        assert path.read_text() == "second"

    write_whole(path, first)
    assert path.read_text() == "first, long" and list(tmp_path.iterdir()) == [path]


def test_an_error_names_the_file_that_was_asked_for(tmp_path: Path) -> None:
    with pytest.raises(OSError) as caught:
        write_whole(tmp_path / "none" / "a.txt", lambda file: file.write_text("x"))
    assert caught.value.filename == str(tmp_path / "none" / "a.txt")

    def full(file: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: .*a\.txt"):
        write_whole(tmp_path / "a.txt", full)


@pytest.mark.parametrize("links", [True, False])
def test_a_new_name_never_replaces_a_file(tmp_path: Path, links: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    if not links and hasattr(os, "link"):

        def no_links(*_: object) -> None:
            raise PermissionError(errno.EPERM, "Operation not permitted")

        monkeypatch.setattr(os, "link", no_links)
    for name in ("a", "b"):
        (tmp_path / name).write_text(name)
    with pytest.raises(FileExistsError):
        rename_new(tmp_path / "a", tmp_path / "b")
    assert (tmp_path / "b").read_text() == "b"
    rename_new(tmp_path / "a", tmp_path / "c")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b", "c"]
