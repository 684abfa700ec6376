"""An unusable display is an error with advice, raised before Qt starts and ends the process."""

import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import pytest

from moodspace.realtime.window import screen
from moodspace.realtime.window.screen import WindowError, require_display

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="displays of Linux")

# A refusal of the X protocol: length of the reason, version 11.0, total length in words, the reason.
REFUSED = b"\x00\x04\x0b\x00\x00\x00\x01\x00nope"


@pytest.fixture(autouse=True)
def _bare(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("DISPLAY", "WAYLAND_DISPLAY", "QT_QPA_PLATFORM", "QT_PLUGIN_PATH", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "QT5")


@pytest.fixture
def with_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Skip if OpenCV does not come with its own Qt."""
    if not any(folder.glob("libqxcb.so") for folder in screen._plugin_folders(os.environ)):
        pytest.skip("expected OpenCV's package with Qt, got another build")


@contextmanager
def x_server(answer: bytes | None) -> Iterator[str]:
    """Run an X server that gives each client this answer, or none; yield its display name."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        listening.settimeout(0.1)
        kept: list[socket.socket] = []
        done = threading.Event()

        def serve() -> None:
            while not done.is_set():
                try:
                    client = listening.accept()[0]
                except OSError:
                    continue
                kept.append(client)
                if answer is not None:
                    client.sendall(answer)

        thread = threading.Thread(target=serve)
        thread.start()
        try:
            yield f"127.0.0.1:{listening.getsockname()[1] - 6000}"
        finally:
            done.set()
            thread.join()
            for client in kept:
                client.close()


@pytest.mark.usefixtures("with_plugin")
@pytest.mark.parametrize("name", [":9077", "127.0.0.1:9077", "localhost:9077.1", "garbage", ":", ":no"])
def test_a_display_where_nothing_listens(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", name)
    with pytest.raises(WindowError, match=r"expected the display '.*' to answer, it does not; .*--headless") as caught:
        require_display()
    assert repr(name) in str(caught.value)


@pytest.mark.usefixtures("with_plugin")
def test_a_display_that_lets_nobody_in(monkeypatch: pytest.MonkeyPatch) -> None:
    with x_server(REFUSED) as name, pytest.raises(WindowError, match="to answer"):
        monkeypatch.setenv("DISPLAY", name)
        require_display()


@pytest.mark.usefixtures("with_plugin")
def test_a_display_that_never_answers_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    with x_server(None) as name:
        monkeypatch.setenv("DISPLAY", name)
        started = time.monotonic()
        with pytest.raises(WindowError, match="to answer"):
            require_display(timeout=0.3)
        assert time.monotonic() - started < 5


@pytest.mark.usefixtures("with_plugin")
def test_no_display() -> None:
    with pytest.raises(WindowError, match=r"expected a display, got none; .*--headless"):
        require_display()


@pytest.mark.usefixtures("with_plugin")
def test_a_wayland_display_alone_is_none_for_the_packaged_qt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WAYLAND_DISPLAY", "wayland-0")
    with pytest.raises(WindowError, match="Xwayland"):
        require_display()


@pytest.mark.usefixtures("with_plugin")
def test_a_platform_of_qts_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DISPLAY", ":9077")
    monkeypatch.setenv("QT_QPA_PLATFORM", "nosuch")
    with pytest.raises(WindowError, match="expected the Qt platform plugin nosuch, got xcb; check QT_QPA_PLATFORM"):
        require_display()
    monkeypatch.setenv("QT_QPA_PLATFORM", "nosuch;xcb:options")
    with pytest.raises(WindowError, match="':9077'"):
        require_display()


def test_a_plugin_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("QT_QPA_PLATFORM_PLUGIN_PATH", str(tmp_path))
    with pytest.raises(WindowError, match="expected the Qt platform plugin xcb, got none"):
        require_display()
    (tmp_path / "libqxcb.so").write_bytes(b"no library")
    with pytest.raises(WindowError, match=r"expected the library .* it cannot be loaded; install it"):
        require_display()


def test_an_opencv_without_windows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "")
    with pytest.raises(WindowError, match="expected OpenCV with windows, got it headless; install opencv-python"):
        require_display()


def test_another_toolkit_on_wayland(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cv2, "currentUIFramework", lambda: "GTK3")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setenv("WAYLAND_DISPLAY", "w-0")
    with pytest.raises(WindowError, match="expected a display"):
        require_display()
    with socket.socket(socket.AF_UNIX) as compositor:
        compositor.bind(str(tmp_path / "w-0"))
        compositor.listen()
        require_display()


@pytest.mark.usefixtures("with_plugin")
def test_the_command_ends_in_one_line_and_records_nothing(
    run_process: Callable[..., object], astronaut: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DISPLAY", ":9077")
    done = run_process("live", "--source", astronaut, "--record", tmp_path / "sessions")
    assert done.returncode == 1  # type: ignore[attr-defined]
    assert done.stderr.startswith("error: window: expected the display ':9077'")  # type: ignore[attr-defined]
    assert done.stderr.count("\n") == 1  # type: ignore[attr-defined]
    assert not (tmp_path / "sessions").exists()
