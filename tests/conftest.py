"""What the tests of the command line share: the shipped bundle, a picture and a clip with one face, two ways to run.

`run` runs a command in this process; `run_process` in one of its own, where streams, signals or imports matter.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from embeddings.pictures import read_rgb
from realtime.demo import picture_path
from realtime.start_notice import start_notice
from realtime.video import VideoWriter

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session", autouse=True)
def _own_user_folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps every test away from what the person at this machine has taught and was told."""
    user = tmp_path_factory.mktemp("user")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MOODSPACE_GALLERY", str(user / "gallery"))
        patch.setenv("XDG_STATE_HOME", str(user / "state"))
        start_notice(recording=False)
        yield


@pytest.fixture(scope="session")
def shipped() -> Path:
    """The bundle that the project ships."""
    path = ROOT / "bundles" / "fer2013"
    if not (path / "manifest.json").is_file():
        pytest.skip("expected the shipped bundle at bundles/fer2013, found none")
    return path


@pytest.fixture(scope="session")
def astronaut() -> Path:
    """A picture with one face."""
    return picture_path()


@pytest.fixture(scope="session")
def clip(astronaut: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five frames with one face, at 10 a second."""
    path = tmp_path_factory.mktemp("clip") / "astronaut.mp4"
    bgr = np.ascontiguousarray(read_rgb(astronaut)[..., ::-1])
    with VideoWriter(path, 10) as writer:
        for _ in range(5):
            writer.write(bgr)
    return path


@pytest.fixture(scope="session")
def run() -> Callable[..., Result]:
    """Runs `python cli.py ARGUMENTS` within this process."""
    import cli

    return lambda *arguments: CliRunner().invoke(cli.app, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def run_process() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs `python cli.py ARGUMENTS` in a process of its own, in `cwd`."""

    def run(*arguments: object, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, str(ROOT / "cli.py"), *map(str, arguments)]
        return subprocess.run(line, cwd=cwd, env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True)

    return run
