"""Open LiteRT networks without their messages, and change the input size of one in its file."""

import os
import re
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from ai_edge_litert.interpreter import Interpreter

# Held while the stderr of the process is redirected.
_STDERR = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_STDERR.acquire, after_in_parent=_STDERR.release, after_in_child=_STDERR.release)
# How LiteRT's messages start, and the blank second line of some.
_LOG_LINE = re.compile(rb"(INFO|WARNING|ERROR|VERBOSE|W0000|I0000|E0000)\b[: ]|\s*$")
# Where a file holds a size: an offset, a stride, and what is added to the size divided by it, as a 32-bit integer.
Place = tuple[int, int, int]

# Fields of the tables Tensor and Buffer in LiteRT's schema.
SHAPE, DATA, SIGNATURE = 4, 4, 18


def open_interpreter(content: bytes, threads: int, shape: tuple[int, ...] | None = None) -> "Interpreter":
    """Open a network.

    Args:
        content: The `.tflite` file.
        threads: How many threads one call may use.
        shape: The shape of its only input; None for the file's.

    Raises:
        ValueError, RuntimeError, IndexError: The file is damaged, or is no network with one input.
    """
    # Imported here, because it takes 0.1 s, which `--help` need not spend.
    from ai_edge_litert.interpreter import Interpreter

    with without_log():
        interpreter = Interpreter(model_content=content, num_threads=threads)
        if shape is not None:
            interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], shape)
        interpreter.allocate_tensors()
    return interpreter


@contextmanager
def without_log() -> Iterator[None]:
    """Drop the messages that LiteRT writes to stderr about its delegates; it has no option for that.

    Only one thread at a time redirects stderr, otherwise the last one would restore the redirection of the first. Lines
    of other threads are kept and written when the block ends. A fork waits for the end, so that no child process
    inherits the redirection.
    """
    with _STDERR, ExitStack() as opened:
        try:
            kept = os.dup(2)
            opened.callback(os.close, kept)
            redirected = opened.enter_context(tempfile.TemporaryFile())
            os.dup2(redirected.fileno(), 2)
        except OSError:  # stderr is closed, as in a service, or no temporary file can be created
            yield
            return
        try:
            yield
        finally:
            os.dup2(kept, 2)
            _pass_on(redirected)


def _pass_on(written: IO[bytes]) -> None:
    """Write the lines of a file to stderr, except LiteRT's messages."""
    with suppress(OSError):
        written.seek(0)
        if others := b"".join(line for line in written if not _LOG_LINE.match(line)):
            os.write(2, others)


@dataclass(frozen=True, slots=True)
class Network:
    """A network whose input size can be changed in the file.

    Attributes:
        content: The `.tflite` file.
        places: By the name of a size ("batch", "height", "width"), where the file holds it.
    """

    content: bytes
    places: Mapping[str, list[Place]]

    def resized(self, **sizes: int) -> bytes:
        """Return the file for other sizes, as the browser does."""
        content = np.frombuffer(self.content, np.uint8).copy()
        for name, size in sizes.items():
            for offset, stride, more in self.places[name]:
                content[offset : offset + 4] = np.frombuffer(np.int32(size // stride + more).tobytes(), np.uint8)
        return content.tobytes()


def vector_place(table: Any, table_field: int) -> int:
    """Return the offset of the first value of a vector in a flatbuffer's table; 0 if there is none."""
    offset = table._tab.Offset(table_field)
    return int(table._tab.Vector(offset)) if offset else 0
