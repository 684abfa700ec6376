"""Make sure that Keras can be used before it is imported, and that it is quiet; imports none of it."""

import contextlib
import importlib.util
import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from moodspace.errors import MoodspaceError

# Lines of absl's and TensorFlow's logs below "fatal", and what follows them.
_CHATTER = re.compile(
    r"WARNING: All log messages before absl|[IWE]\d{4} [\d:.]+\s+\d+ \S+:\d+\] |\d{4}-\d\d-\d\d [\d:.]+: [IWE] "
    r"|To enable the following instructions:|INFO: Created TensorFlow Lite"
)


@contextlib.contextmanager
def native_log_filtered() -> Iterator[None]:
    """Leave TensorFlow's chatter out of stderr, and pass every other line on by way of Python.

    By way of Python, because a progress bar takes lines from there without being broken. Nothing is filtered where
    `TF_CPP_MIN_LOG_LEVEL` asked for the log before `prepare_keras` set it, or where Python's
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


_BACKENDS = ("tensorflow", "jax")


class BackendError(MoodspaceError):
    """Keras, or what it computes with, is missing or cannot be used."""


def prepare_keras() -> None:
    """Check Keras and its backend, and quieten TensorFlow, whose native log would break progress bars.

    `TF_CPP_MIN_LOG_LEVEL`, where it is set, stays as it is.

    Raises:
        BackendError: Keras would compute with something that it cannot be trained with here, or that is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    backend, where = _backend()
    if backend not in _BACKENDS:
        raise BackendError(f"{where}: expected {' or '.join(_BACKENDS)}, got {backend!r}; unset it to use tensorflow")
    # JAX trains without TensorFlow; the export, which takes it, can follow elsewhere.
    for module in ("keras", backend):
        if importlib.util.find_spec(module) is None:
            raise BackendError(
                f"training needs {module}, got no module of that name (KERAS_BACKEND: {backend}, "
                "one of tensorflow and jax); pip install -r requirements/all.txt"
            )


def _backend() -> tuple[str, str]:
    """Return what Keras will compute with, and what says so: the environment before Keras's file."""
    if named := os.environ.get("KERAS_BACKEND"):
        return named, "KERAS_BACKEND"
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        named = json.loads((home / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        named = None
    return (str(named), f"backend in {home / 'keras.json'}") if named else ("tensorflow", "KERAS_BACKEND")
