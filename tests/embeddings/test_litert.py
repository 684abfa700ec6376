"""The process's stderr is the same after LiteRT's messages were dropped, whichever threads did so."""

import os
import subprocess
import sys
import threading

import pytest

from moodspace.embeddings.litert import without_log


def place_of_stderr() -> tuple[int, int]:
    stat = os.fstat(2)
    return stat.st_dev, stat.st_ino


def test_many_threads_leave_stderr_where_it_was() -> None:
    before, open_files = place_of_stderr(), len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    start = threading.Barrier(8)

    def work() -> None:
        start.wait(10)
        for _ in range(50):
            with without_log():
                pass

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert place_of_stderr() == before
    if open_files:
        assert len(os.listdir("/proc/self/fd")) == open_files


def test_what_others_write_meanwhile_is_kept(capfd: pytest.CaptureFixture[str]) -> None:
    with without_log():
        os.write(2, b"INFO: Created TensorFlow Lite XNNPACK delegate for CPU.\na thread: the camera was lost\n")
    assert capfd.readouterr().err == "a thread: the camera was lost\n"


def test_an_error_passes_and_stderr_comes_back() -> None:
    before = place_of_stderr()
    with pytest.raises(OSError, match="mine"), without_log():
        raise OSError("mine")
    assert place_of_stderr() == before


def test_a_closed_stderr_stays_closed() -> None:
    code = """
import os
from moodspace.embeddings.litert import without_log
os.close(2)
with without_log():
    pass
try:
    os.fstat(2)
except OSError:
    print("closed")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout == "closed\n"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_does_not_inherit_the_detour() -> None:
    code = """
import os, threading
from moodspace.embeddings.litert import without_log
inside, leave = threading.Event(), threading.Event()
def work():
    with without_log():
        inside.set()
        leave.wait(10)
thread = threading.Thread(target=work)
thread.start()
inside.wait(10)
threading.Timer(0.2, leave.set).start()
child = os.fork()
if not child:
    os.write(2, b"child\\n")
    with without_log():
        pass
    os._exit(0)
os.waitpid(child, 0)
thread.join(10)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "child" in done.stderr
