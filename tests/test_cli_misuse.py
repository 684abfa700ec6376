"""Misuse of every command: one clear line, the right exit code, no traceback, and nothing lost."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import moodspace
from moodspace.cli.app import guard, in_words
from tests.conftest import ROOT
from tests.drawn_faces import drawn_faces, write_folder
from tests.test_cli_errors import misused, refused


@pytest.fixture
def odd(tmp_path):
    """Return paths that are not pictures, and what each one is."""
    os.mkfifo(tmp_path / "pipe.jpg")
    (tmp_path / "dangling.jpg").symlink_to(tmp_path / "gone")
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    return {
        tmp_path / "gone.jpg": "no such path",
        tmp_path / "pipe.jpg": "a pipe",
        tmp_path / "dangling.jpg": "a link to a path that does not exist",
        tmp_path / "loop.jpg": "a link that leads back to itself",
        tmp_path / ("a" * 300): "a name that is too long",
        Path(os.devnull): "a device",
    }


def test_each_command_names_the_inputs_it_takes(run, shipped, odd):
    for path, found in odd.items():
        predicted = run("predict", path)
        refused(predicted, 4, str(path), "expected a picture, a video or a folder, got " + found)
        assert "camera" not in predicted.stderr
        live = run("live", "--headless", "--source", path)
        refused(live, 4, "expected a camera's number, an address, a file or a folder, got " + found)
    device = run("live", "--headless", "--source", "/dev/video97")
    refused(device, 4, "got no such path; name a camera by its number, 97")


def test_predict_takes_no_camera_and_no_stream(run, shipped, tmp_path, astronaut, monkeypatch):
    refused(run("predict", "7"), 4, "got camera 7", "live --source 7")
    told = run("predict", "rtsp://me:secret@camera.local/live")
    refused(told, 4, "rtsp://camera.local/live", "got an address")
    assert "secret" not in told.stderr
    monkeypatch.chdir(tmp_path)
    (tmp_path / "7").write_bytes(astronaut.read_bytes())
    assert run("predict", "7", "--bundle", shipped).exit_code == 0


def test_a_device_without_end_is_not_read(run, shipped, odd):
    for path in (Path("/dev/zero"), *odd):
        refused(run("similar", path), 4, str(path), "expected")
        taught = run("teach", "--label", "x", path)
        assert (taught.exit_code, taught.stdout) in ((1, "x: 0 taught; 0 in all\n"), (1, "")), taught.output
        assert "Traceback" not in taught.stderr


@pytest.mark.parametrize(
    "command",
    [
        ["similar"], ["index"], ["evaluate"], ["explore"], ["report"], ["curves"], ["visualize"], ["gallery", "import"],
        ["gallery", "export"], ["teach", "--label", "x"], ["train", "--out", "b"], ["demo", "--out"],
        ["doctor", "--bundle"], ["gallery", "show", "--gallery"], ["web", "--bundle"],
        ["predict", "a.png", "--annotate"],
    ],
)  # fmt: skip
def test_an_empty_path_is_not_the_current_folder(run, command):
    misused(run(*command, ""), "expected a path, got an empty one")


def test_an_empty_source_is_not_the_current_folder(run, shipped):
    refused(run("predict", ""), 4, "got an empty name")
    refused(run("live", "--headless", "--source", ""), 4, "got an empty name")


def test_a_link_to_itself_is_an_error_of_the_user(run, shipped, tmp_path):
    (tmp_path / "loop").symlink_to("loop")
    for command in (["index"], ["visualize"], ["explore", "--no-errors"], ["web", "--bundle"]):
        told = run(*command, tmp_path / "loop")
        assert told.exit_code in (1, 3) and told.stderr.count("\n") == 1, told.output
        assert "expected" in told.stderr and "fault of Moodspace" not in told.stderr


def test_an_empty_folder_teaches_nothing(run, shipped, tmp_path):
    refused(run("teach", "--label", "x", tmp_path), 1, str(tmp_path), "expected pictures, found an empty folder")


def test_what_is_imported_must_be_there(run, shipped, tmp_path):
    refused(run("gallery", "import", tmp_path / "gone.parquet"), 3, "expected an exported gallery, found no such path")
    refused(run("gallery", "import", tmp_path), 3, "expected an exported gallery, found a folder")


@pytest.fixture
def outputs(tmp_path, shipped, astronaut):
    """Return commands that write, without the output's name, and whether the output is a folder."""
    write_folder(drawn_faces(14, seed=2), tmp_path / "faces")
    faces = tmp_path / "faces"
    return [
        (["demo", "--out"], True),
        (["predict", astronaut, "--annotate"], True),
        (["evaluate", faces, "--plots"], True),
        (["explore", faces, "--no-errors", "--out"], True),
        (["train", faces, "--arch", "cnn", "--init", "none", "--out"], True),
        (["similar", astronaut, "--sheet"], False),
        (["curves", faces, "--out"], False),
        (["report", faces, "--out"], False),
        (["report", faces, "--export"], False),
        (["gallery", "export"], False),
    ]


def test_an_output_that_cannot_be_is_refused_before_the_work(run, outputs, tmp_path):
    taken, folder, pipe = tmp_path / "taken", tmp_path / "folder.png", tmp_path / "pipe.png"
    os.mkfifo(pipe)
    taken.write_text("keep me")
    folder.mkdir()
    for command, is_folder in outputs:
        refused(run(*command, taken / "within.png"), 1, str(taken), "expected a folder to write to, got a file")
        if is_folder:
            refused(run(*command, taken), 1, str(taken), "expected a folder to write to, got a file")
        else:
            refused(run(*command, folder), 1, str(folder), "expected a file to write, got a folder")
            refused(run(*command, pipe), 1, str(pipe), "expected a file to write, got a pipe")
    assert taken.read_text() == "keep me" and not list(folder.iterdir()) and pipe.is_fifo()


def test_errors_in_words():
    assert in_words(OSError(errno.ENOSPC, "No space left on device", "out/a.json")) == (
        "out/a.json: no space left on device; free some or name another folder"
    )
    assert in_words(PermissionError(errno.EACCES, "Permission denied", "a")) == "a: permission denied"
    assert in_words(ValueError("two\n  lines")) == "two lines"
    assert in_words(MemoryError()).startswith("expected more free memory")
    assert in_words(KeyError("columns")).startswith("KeyError: 'columns'; this is a fault of Moodspace")


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError("x"), MemoryError(), ZeroDivisionError("x")])
def test_an_unexpected_error_is_one_line_too(run, monkeypatch, error):
    def fail(*arguments):
        raise error

    monkeypatch.setattr("moodspace.realtime.doctor.examine", fail)
    told = run("doctor")
    refused(told, 1, "error: ")
    assert type(run("--debug", "doctor").exception) is type(error)


def test_the_version_is_that_of_the_package(run):
    told = run("--version")
    assert (told.exit_code, told.stdout) == (0, f"moodspace {moodspace.__version__}\n")


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete")])
def test_there_is_completion_for_shells(run_process, monkeypatch, shell, word):
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    shown = run_process("--show-completion", shell)
    assert shown.returncode == 0 and word in shown.stdout and "cli.py" in shown.stdout


def test_completion_completes():
    assert os.access(ROOT / "cli.py", os.X_OK) and (ROOT / "cli.py").read_text().startswith("#!/usr/bin/env python3\n")
    asked = {"_CLI.PY_COMPLETE": "complete_bash", "COMP_WORDS": "cli.py ev", "COMP_CWORD": "1"}
    line = [sys.executable, str(ROOT / "cli.py")]
    done = subprocess.run(line, env=os.environ | asked, capture_output=True, text=True)
    assert done.stdout.split() == ["evaluate"]


def into(stdout, *arguments):
    """Run a command with this stdout; return its exit code and stderr."""
    line = [sys.executable, str(ROOT / "cli.py"), *map(str, arguments)]
    done = subprocess.run(line, cwd=ROOT, stdout=stdout, stderr=subprocess.PIPE, text=True)
    return done.returncode, done.stderr


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a device that is always full")
@pytest.mark.parametrize("arguments", [["doctor"], ["--version"], ["--help"]])
def test_a_full_disk_behind_stdout_is_one_line(shipped, arguments):
    with Path("/dev/full").open("w") as full:
        code, told = into(full, *arguments)
    assert code == 1 and told.count("\n") == 1 and re.match(r"error: .*no space left on device", told), told


@pytest.mark.parametrize("arguments", [["doctor"], ["--version"]])
def test_a_closed_pipe_is_not_reported(shipped, arguments):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        code, told = into(writing, *arguments)
    finally:
        os.close(writing)
    assert (code, told) == (1, "")


@pytest.mark.parametrize(
    ("command", "given", "seen"), [("predict", None, "1"), ("predict", "3", "3"), ("train", None, None)]
)
def test_only_commands_with_small_matrix_products_ask_openblas_for_one_thread(monkeypatch, command, given, seen):
    monkeypatch.delenv("OPENBLAS_NUM_THREADS", raising=False)
    if given is not None:
        monkeypatch.setenv("OPENBLAS_NUM_THREADS", given)

    def run():
        return os.environ.get("OPENBLAS_NUM_THREADS")

    run.__name__ = command
    try:
        assert guard(run)() == seen
    finally:
        os.environ.pop("OPENBLAS_NUM_THREADS", None)
