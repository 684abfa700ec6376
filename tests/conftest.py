"""What the tests of the command line share: the shipped bundle, a picture and a clip with one face, two ways to run.

`run` runs a command in this process; `run_process` in one of its own, where streams, signals or imports matter.
"""

import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from moodspace.embeddings.pictures import read_rgb
from moodspace.realtime.demo import picture_path
from moodspace.realtime.drawing.video import VideoWriter
from moodspace.realtime.session.notice import start_notice
from tests.browser import OpenPage, chromium, page_opener

if TYPE_CHECKING:
    from playwright.sync_api import Browser

ROOT = Path(__file__).parents[1]


# Folders whose tests compute: .ci/run repeats them under other rounding. Single files elsewhere mark themselves.
_NUMERIC = {"classifier", "embeddings", "viz"}


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark the tests that compute as `numeric`, but for those of pages; leave out benchmarks that nobody asked for."""
    for item in items:
        folder = item.path.relative_to(ROOT / "tests").parts[0] if item.path.is_relative_to(ROOT / "tests") else ""
        if folder in _NUMERIC and "browser" not in getattr(item, "fixturenames", ()):
            item.add_marker("numeric")
    if "benchmark" not in config.option.markexpr:
        left_out = [item for item in items if item.get_closest_marker("benchmark")]
        config.hook.pytest_deselected(items=left_out)
        items[:] = [item for item in items if not item.get_closest_marker("benchmark")]
    # Long files begin first, so that no processor waits for the last of them alone; the order within a file stays.
    long = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in long)


@pytest.fixture(scope="session", autouse=True)
def _as_in_a_terminal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keeps tests away from what the person at this machine was told, and lets programs they start hear Ctrl-C.

    A shell starts its background jobs with SIGINT ignored, and what runs below these tests would inherit that.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_STATE_HOME", str(tmp_path_factory.mktemp("state")))
        start_notice(recording=False)
        yield


@pytest.fixture(autouse=True)
def _own_gallery(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keeps each test away from what that person, or another test, has taught."""
    monkeypatch.setenv("MOODSPACE_GALLERY", str(tmp_path_factory.getbasetemp() / f"gallery-{uuid.uuid4()}"))


@pytest.fixture(scope="session")
def shipped() -> Path:
    """The bundle that the project ships."""
    path = ROOT / "bundles" / "fer2013"
    if not (path / "manifest.json").is_file():
        pytest.skip("expected the shipped bundle at bundles/fer2013, found none")
    return path


@pytest.fixture(scope="module")
def browser() -> Iterator["Browser"]:
    """A headless Chromium, for one file of tests: while it runs, asyncio belongs to it."""
    with chromium() as running:
        yield running


@pytest.fixture
def open_page(browser: "Browser") -> Iterator[OpenPage]:
    """Opens pages in it; what a page writes to its console as an error fails the test."""
    with page_opener(browser) as opener:
        yield opener


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
    """Run `python cli.py ARGUMENTS` within this process."""
    from moodspace.cli import app

    return lambda *arguments: CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture(scope="session")
def run_process() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Run `python cli.py ARGUMENTS` in a process of its own, in `cwd`."""

    def run(*arguments: object, cwd: Path = ROOT) -> "subprocess.CompletedProcess[str]":
        line = [sys.executable, str(ROOT / "cli.py"), *map(str, arguments)]
        return subprocess.run(line, cwd=cwd, env=os.environ | {"COLUMNS": "200"}, capture_output=True, text=True)

    return run
