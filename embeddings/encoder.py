"""Runs any number of crops through a network in batches, so that memory stays bounded and progress can be told."""

import hashlib
import os
import re
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Protocol

import numpy as np

from moodspace.arrays import ByteArray, FloatArray, IntArray
from moodspace.embeddings.crops import SIZE, CropGeometry
from moodspace.errors import MoodspaceError

EMBEDDING = "embedding"

# The graph is planned for one batch size at a time, and planning anew costs more than a call: an interpreter for each
# of these is kept instead, and any number of faces is cut into them. More than 8 at once are slower, not faster: the
# maps of 32 no longer fit the processor's cache, which costs a tenth of the time and the memory besides.
_BATCHES = (8, 2, 1)

# Who redirects the process's stderr.
_STDERR = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_STDERR.acquire, after_in_parent=_STDERR.release, after_in_child=_STDERR.release)
# How LiteRT's messages begin, and the second line of some.
_CHATTER = re.compile(rb"(INFO|WARNING|ERROR|VERBOSE|W0000|I0000|E0000)\b[: ]|\s*$")


class EncoderError(MoodspaceError):
    """A network file that cannot be used."""

    exit_code = 3


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """What the network says of n faces.

    Attributes:
        embeddings: `(n, d)` float32, rows L2-normalized.
        logits: For each label set `(n, C)` float32, columns in the order of its classes.
    """

    embeddings: FloatArray
    logits: Mapping[str, FloatArray]

    def __len__(self) -> int:
        return len(self.embeddings)

    def take(self, rows: IntArray | slice) -> "Encoded":
        """Return what is said of some of the faces."""
        return Encoded(self.embeddings[rows], {name: values[rows] for name, values in self.logits.items()})


class Encoder(Protocol):
    """Turn crops into embeddings and logits."""

    @property
    def dim(self) -> int:
        """Length of an embedding."""

    @property
    def classes(self) -> Mapping[str, tuple[str, ...]]:
        """For each label set its class names in column order."""

    def encode(self, crops: ByteArray) -> Encoded:
        """Encode `(n, 48, 48)` uint8 gray crops in [0, 255]; `n = 0` is legal."""


class LiteRTEncoder:
    """A network that `embeddings.training.export.export_encoder` wrote, run by LiteRT.

    Args:
        model: The `.tflite` file.
        classes: For each label set its class names in column order.
        flip: Take the mean of a face and its mirror image, at twice the time.
        threads: How many threads one call may use.

    Raises:
        EncoderError: The file is missing or damaged, or its outputs are not an embedding and a head for each label set.
    """

    def __init__(self, model: Path, classes: Mapping[str, tuple[str, ...]], *, flip: bool, threads: int = 2) -> None:
        self.model, self.classes, self.flip, self.threads = model, dict(classes), flip, threads
        try:
            self._content = model.read_bytes()
        except OSError as error:
            raise EncoderError(f"{model}: expected an exported network, got: {error.strerror}") from error
        self._runners: dict[int, Any] = {}
        # The batch of one face, which is the likeliest to be asked for.
        outputs = self._open(2 if flip else 1).get_output_details()
        self.dim = int(outputs[EMBEDDING]["shape"][-1]) if EMBEDDING in outputs else 0
        found = {name: int(detail["shape"][-1]) for name, detail in outputs.items() if name != EMBEDDING}
        wanted = {name: len(names) for name, names in classes.items()}
        if not self.dim or found != wanted:
            raise EncoderError(f"{model}: expected outputs {EMBEDDING} and {wanted}, got {sorted(outputs)} of {found}")

    def encode(self, crops: ByteArray) -> Encoded:
        """Encode crops.

        Args:
            crops: `(n, 48, 48)` uint8 gray in [0, 255]; `n = 0` is legal.

        Returns:
            Embeddings and logits of the n faces; with `flip` the mean over each face and its mirror image, embeddings
            at unit length again.

        Raises:
            ValueError: Another shape or type.
        """
        if crops.dtype != np.uint8 or crops.shape[1:] != (SIZE, SIZE):
            raise ValueError(f"crops: expected uint8 of shape (n, {SIZE}, {SIZE}), got {crops.dtype} of {crops.shape}")
        n = len(crops)
        faces = np.concatenate([crops, crops[:, :, ::-1]]) if self.flip else crops
        out = self._run(faces[..., None].astype(np.float32))
        if self.flip:
            out = {name: np.float32(0.5) * (values[:n] + values[n:]) for name, values in out.items()}
        embeddings = out.pop(EMBEDDING)
        length = np.linalg.norm(embeddings, axis=1, keepdims=True)
        return Encoded(embeddings / np.maximum(length, 1e-6), out)

    def _run(self, faces: FloatArray) -> dict[str, FloatArray]:
        sizes = {EMBEDDING: self.dim} | {name: len(names) for name, names in self.classes.items()}
        out = {name: np.empty((len(faces), size), np.float32) for name, size in sizes.items()}
        for start, size in _cut(len(faces)):
            for name, values in self._open(size)(crops=faces[start : start + size]).items():
                out[name][start : start + size] = values
        return out

    def _open(self, batch: int) -> Any:
        if batch not in self._runners:
            # Only here: importing the runtime costs a tenth of a second that `--help` need not spend.
            from ai_edge_litert.interpreter import Interpreter

            try:
                with _without_chatter():
                    interpreter = Interpreter(model_content=self._content, num_threads=self.threads)
                    interpreter.resize_tensor_input(interpreter.get_input_details()[0]["index"], (batch, SIZE, SIZE, 1))
                    interpreter.allocate_tensors()
                    self._runners[batch] = interpreter.get_signature_runner()
            except (ValueError, RuntimeError, IndexError) as error:
                reason = " ".join(str(error).split())
                raise EncoderError(f"{self.model}: expected an exported network, got: {reason}") from error
        return self._runners[batch]


@dataclass(frozen=True, slots=True, eq=False)
class EncoderSpec:
    """An encoder and the crop geometry that belongs to it: small and picklable, to be opened where it is used.

    Attributes:
        fingerprint: Identifies the embeddings: two encoders with the same fingerprint give the same ones.
        dim: Length of an embedding.
        geometry: Where landmarks lie in a crop.
        classes: For each label set its class names in column order.
        flip: Whether embeddings are the mean of a face and its mirror image.
        model: The exported network, a `.tflite` file; None for an encoder that comes from no file.
        sha256: The SHA-256 of `model`, 64 hexadecimal digits.
        opened: The encoder, where this process has opened it. If there is a file, a pickle leaves it out.
    """

    fingerprint: str
    dim: int
    geometry: CropGeometry
    classes: Mapping[str, tuple[str, ...]]
    flip: bool = False
    model: Path | None = None
    sha256: str = ""
    opened: Encoder | None = None

    def open(self, threads: int = 2) -> Encoder:
        """Return the encoder; open its file unless this process has it open.

        Args:
            threads: How many threads one call may use, where the file is opened now.

        Raises:
            EncoderError: The file is missing, damaged, or another one than when the spec was made.
        """
        if self.opened is not None:
            return self.opened
        if self.model is None:
            raise EncoderError(f"encoder {self.fingerprint}: expected an exported network or an open encoder, got none")
        encoder = LiteRTEncoder(self.model, self.classes, flip=self.flip, threads=threads)
        found = hashlib.sha256(self.model.read_bytes()).hexdigest()
        if found != self.sha256:
            wanted = f"expected the network with SHA-256 {self.sha256[:12]}"
            raise EncoderError(f"{self.model}: {wanted}, got {found[:12]}; another program replaced it, start again")
        return encoder

    def __reduce__(self) -> tuple[type["EncoderSpec"], tuple[Any, ...]]:
        """Pickle without the open encoder, unless it is all there is."""
        kept = self.opened if self.model is None else None
        model = self.model and self.model.resolve()
        values = (self.fingerprint, self.dim, self.geometry, dict(self.classes), self.flip, model, self.sha256, kept)
        return EncoderSpec, values


@contextmanager
def _without_chatter() -> Iterator[None]:
    """Drop LiteRT's messages: it writes to the process's stderr which delegate it made, and has no switch.

    One thread at a time, or the last to leave would restore what the first one put there. What other threads write
    meanwhile is kept and written when the block ends. A fork waits for the end, so that no child inherits the detour.
    """
    with _STDERR, ExitStack() as opened:
        try:
            kept = os.dup(2)
            opened.callback(os.close, kept)
            detour = opened.enter_context(tempfile.TemporaryFile())
            os.dup2(detour.fileno(), 2)
        except OSError:  # closed, as in a service, or no place for a file
            yield
            return
        try:
            yield
        finally:
            os.dup2(kept, 2)
            _pass_on(detour)


def _pass_on(written: IO[bytes]) -> None:
    """Write to stderr what was written to a file instead, but for LiteRT's messages."""
    with suppress(OSError):
        written.seek(0)
        if others := b"".join(line for line in written if not _CHATTER.match(line)):
            os.write(2, others)


def _cut(n: int) -> Iterator[tuple[int, int]]:
    """Yield (start, size) of batches that together make n."""
    start = 0
    for size in _BATCHES:
        while n - start >= size:
            yield start, size
            start += size


Progress = Callable[[int, int], None]
BATCH = 256


def batches(crops: ByteArray, progress: Progress | None = None, size: int = BATCH) -> Iterator[ByteArray]:
    """Yield the crops in batches, in order; of no crops one empty batch.

    Args:
        crops: `(n, 48, 48)` uint8 in [0, 255], gray.
        progress: Called with the number of faces done and the total, after each batch.
        size: Faces in a batch; the last may have fewer.
    """
    for start in range(0, max(len(crops), 1), size):
        yield crops[start : start + size]
        if progress is not None:
            progress(min(start + size, len(crops)), len(crops))


def encode_all(
    encoder: Encoder, crops: ByteArray, progress: Progress | None = None, *, batch_size: int = BATCH
) -> Encoded:
    """Encode any number of crops, in batches.

    Args:
        encoder: The network.
        crops: `(n, 48, 48)` uint8 in [0, 255], gray.
        progress: Called with the number of faces done and the total, after each batch.
        batch_size: How many faces to encode at a time.
    """
    parts = [encoder.encode(batch) for batch in batches(crops, progress, batch_size)]
    logits = {name: np.concatenate([part.logits[name] for part in parts]) for name in parts[0].logits}
    return Encoded(np.concatenate([part.embeddings for part in parts]), logits)
