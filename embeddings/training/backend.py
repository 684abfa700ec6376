"""Check Keras and its backend before they are imported, and filter the log of TensorFlow. Imports neither."""

import contextlib
import importlib.util
import json
import os
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

from moodspace.errors import MoodspaceError, install_command

# Lines of absl's and TensorFlow's logs below "fatal", and their continuation lines.
_LOG_LINE = re.compile(
    r"WARNING: All log messages before absl|[IWE]\d{4} [\d:.]+\s+\d+ \S+:\d+\] |\d{4}-\d\d-\d\d [\d:.]+: [IWE] "
    r"|To enable the following instructions:|INFO: Created TensorFlow Lite"
)


@contextlib.contextmanager
def native_log_filtered() -> Iterator[None]:
    """Drop TensorFlow's log lines from stderr and pass every other line to `sys.stderr`.

    A progress bar can keep lines from `sys.stderr` apart, but not those of native code. Nothing is filtered if the user
    set `TF_CPP_MIN_LOG_LEVEL` before `prepare_keras`, or if `sys.stderr` is not the stderr of the process. Only one
    thread may use this at a time.
    """
    if os.environ.get("TF_CPP_MIN_LOG_LEVEL", "3") != "3" or not _is_process_stderr():
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
        # This closes the last write end of the pipe, which ends the reader.
        os.dup2(terminal, 2)
        os.close(terminal)
        reader.join(timeout=5)
        sys.stderr = before
        own.close()


def _is_process_stderr() -> bool:
    try:
        return sys.stderr.fileno() == 2
    except (OSError, ValueError, AttributeError):
        return False


def _pass_on(read: int) -> None:
    with os.fdopen(read, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if not _LOG_LINE.match(line):
                with contextlib.suppress(OSError, ValueError):
                    sys.stderr.write(line)


_BACKENDS = ("tensorflow", "jax")


class BackendError(MoodspaceError):
    """Keras or its backend is missing or cannot be used."""


def prepare_keras() -> None:
    """Check Keras and its backend, and silence TensorFlow's native log, which would break progress bars.

    If `TF_CPP_MIN_LOG_LEVEL` is set, it stays.

    Raises:
        BackendError: The backend is not one that Moodspace trains with, or Keras or the backend is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    backend, where = _backend()
    if backend not in _BACKENDS:
        raise BackendError(f"{where}: expected {' or '.join(_BACKENDS)}, got {backend!r}; unset it to use tensorflow")
    # JAX trains without TensorFlow. The export needs TensorFlow and can be done elsewhere.
    for module in ("keras", backend):
        if importlib.util.find_spec(module) is None:
            raise BackendError(
                f"training needs {module}, got no module of that name (KERAS_BACKEND: {backend}, "
                f"one of tensorflow and jax); {install_command('train')}"
            )


def _backend() -> tuple[str, str]:
    """Return the backend that Keras will use and where it is set: the environment comes before Keras's file."""
    if named := os.environ.get("KERAS_BACKEND"):
        return named, "KERAS_BACKEND"
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        named = json.loads((home / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        named = None
    return (str(named), f"backend in {home / 'keras.json'}") if named else ("tensorflow", "KERAS_BACKEND")
