"""What a path leads to is said as it is, and outputs are refused before long work."""

import errno
import os
import socket
from pathlib import Path

import pytest

from moodspace.embeddings.files.paths import FILE, FOLDER, describe_path, require_file_at, require_folder_at


def test_files_and_folders(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "link").symlink_to(tmp_path / "file")
    assert (describe_path(tmp_path), describe_path(tmp_path / "file"), describe_path(tmp_path / "link")) == (
        FOLDER,
        FILE,
        FILE,
    )


def test_what_is_neither(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    os.mkfifo(tmp_path / "pipe")
    assert describe_path(tmp_path / "gone") == describe_path(tmp_path / "file" / "within") == "no such path"
    assert describe_path(tmp_path / "dangling") == "a link to a path that does not exist"
    assert describe_path(tmp_path / "loop") == "a link that leads back to itself"
    assert describe_path(tmp_path / "pipe") == "a pipe"
    assert describe_path(os.devnull) == "a device"
    assert describe_path(tmp_path / ("a" * 300)) == "a name that is too long"
    assert describe_path("") == "an empty name"
    assert describe_path("a\0b") == "a name with a null character"


def test_a_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # the path of a socket must be short
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("it")
        assert describe_path("it") == "a socket"


@pytest.mark.parametrize(("kind", "words"), [("file", FILE), ("folder", FOLDER)])
def test_what_this_user_may_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str, words: str) -> None:
    path = tmp_path / "it"
    path.mkdir() if kind == "folder" else path.write_text("")
    # Tests may run as root, who may read everything.
    monkeypatch.setattr(os, "access", lambda path, mode: False)
    assert describe_path(path) == f"{words} that this user may not read"

    def refuse(path: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(os, "stat", refuse)
    assert describe_path(path) == "a path that this user may not read"


def test_where_something_can_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    require_folder_at(tmp_path)
    require_folder_at(tmp_path / "new" / "folder")
    require_file_at(tmp_path / "file")
    require_file_at(tmp_path / "new" / "file")
    assert not (tmp_path / "new").exists()


def test_where_nothing_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "gone")
    for check, path in [
        (require_folder_at, "file"),
        (require_folder_at, "file/within"),
        (require_folder_at, "dangling"),
        (require_file_at, "file/within"),
    ]:
        with pytest.raises(ValueError, match=r"expected a folder to write to, got a (file|link)"):
            check(tmp_path / path)
    os.mkfifo(tmp_path / "pipe")
    # Moving a finished file there would replace them.
    for path, found in [(tmp_path, FOLDER), (tmp_path / "pipe", "a pipe"), (Path(os.devnull), "a device")]:
        with pytest.raises(ValueError, match=f"expected a file to write, got {found}"):
            require_file_at(path)
    monkeypatch.setattr(os, "access", lambda path, mode: mode != os.W_OK)
    with pytest.raises(ValueError, match="expected a folder to write to, got a read-only one"):
        require_folder_at(tmp_path / "new")
