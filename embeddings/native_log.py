"""Keeps the native log of TensorFlow, which goes past Python to the process's stderr, out of progress bars."""

import contextlib
import os
import re
import sys
import threading
from collections.abc import Iterator

# Lines of absl's and TensorFlow's logs below "fatal", and what follows them.
_CHATTER = re.compile(
    r"WARNING: All log messages before absl|[IWE]\d{4} [\d:.]+\s+\d+ \S+:\d+\] |\d{4}-\d\d-\d\d [\d:.]+: [IWE] "
    r"|To enable the following instructions:|INFO: Created TensorFlow Lite"
)


@contextlib.contextmanager
def native_log_filtered() -> Iterator[None]:
    """Leave TensorFlow's chatter out of stderr, and pass every other line on by way of Python.

    By way of Python, because a progress bar takes lines from there without being broken. Nothing is filtered where
    `TF_CPP_MIN_LOG_LEVEL` asked for the log before `embeddings.keras_backend.prepare_keras` set it, or where Python's
    stderr is not the process's. Only one thread may be in it at a time.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") != "3" or not _is_the_process_own():
        yield
        return
    before = sys.stderr
    before.flush()
    terminal = os.dup(2)
    read, write = os.pipe()
    os.dup2(write, 2)
    os.close(write)
    own = os.fdopen(os.dup(terminal), "w", buffering=1, encoding=before.encoding, errors="backslashreplace")
    sys.stderr = own
    reader = threading.Thread(target=_pass_on, args=(read,), name="native log", daemon=True)
    reader.start()
    try:
        yield
    finally:
        # The last writing end of the pipe is closed with this, which ends the reader.
        os.dup2(terminal, 2)
        os.close(terminal)
        reader.join(timeout=5)
        sys.stderr = before
        own.close()


def _is_the_process_own() -> bool:
    try:
        return sys.stderr.fileno() == 2
    except (OSError, ValueError, AttributeError):
        return False


def _pass_on(read: int) -> None:
    with os.fdopen(read, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not _CHATTER.match(line):
                with contextlib.suppress(OSError, ValueError):
                    sys.stderr.write(line)
