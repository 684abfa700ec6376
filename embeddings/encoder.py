"""Encode crops into embeddings and logits, with the exported network and LiteRT."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from moodspace.arrays import ByteArray, FloatArray, IntArray
from moodspace.embeddings.crops import SIZE, CropGeometry
from moodspace.embeddings.litert import open_interpreter
from moodspace.errors import MoodspaceError

EMBEDDING = "embedding"

# The sizes that any number of faces is split into. Each has an interpreter of its own, because changing the batch size
# of one takes longer than a call. Larger batches are slower: the feature maps of 32 faces exceed the processor's cache,
# which costs 10 % of the time, and memory.
_BATCHES = (8, 4, 2, 1)


class EncoderError(MoodspaceError):
    """A network file is missing or cannot be used."""

    exit_code = 3


@dataclass(frozen=True, slots=True, eq=False)
class Encoded:
    """The embeddings and logits of n faces.

    Attributes:
        embeddings: `(n, d)` float32, rows L2-normalized.
        logits: For each label set `(n, C)` float32, columns in the order of its classes.
    """

    embeddings: FloatArray
    logits: Mapping[str, FloatArray]

    def __len__(self) -> int:
        return len(self.embeddings)

    def take(self, rows: IntArray | slice) -> "Encoded":
        """Return some of the faces, by row numbers or slice."""
        return Encoded(self.embeddings[rows], {name: values[rows] for name, values in self.logits.items()})


class Encoder(Protocol):
    """Turn crops into embeddings and logits."""

    @property
    def dim(self) -> int:
        """Length of an embedding."""

    @property
    def classes(self) -> Mapping[str, tuple[str, ...]]:
        """Class names of each label set, in column order."""

    def encode(self, crops: ByteArray) -> Encoded:
        """Encode `(n, 48, 48)` uint8 gray crops in [0, 255]; `n = 0` is legal."""


class LiteRTEncoder:
    """Run a network that `moodspace.embeddings.training.export.export_encoder` wrote, with LiteRT.

    Args:
        model: The `.tflite` file.
        classes: Class names of each label set, in column order.
        flip: Return the mean over a face and its mirror image, at twice the time.
        threads: Number of threads that one call may use.

    Raises:
        EncoderError: The file is missing or damaged, or its outputs are not an embedding and one head per label set.
    """

    def __init__(self, model: Path, classes: Mapping[str, tuple[str, ...]], *, flip: bool, threads: int = 2) -> None:
        self.model, self.classes, self.flip, self.threads = model, dict(classes), flip, threads
        try:
            self._content = model.read_bytes()
        except OSError as error:
            raise EncoderError(f"{model}: expected an exported network, got: {error.strerror}") from error
        self._runners: dict[int, Any] = {}
        # Open the interpreter for one face, the most likely batch.
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
            Embeddings and logits of the n faces. With `flip` they are the means over each face and its mirror image,
            embeddings again L2-normalized.

        Raises:
            ValueError: `crops` has another shape or type.
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
        for start, size in _split(len(faces)):
            for name, values in self._open(size)(crops=faces[start : start + size]).items():
                out[name][start : start + size] = values
        return out

    def _open(self, batch: int) -> Any:
        if batch not in self._runners:
            try:
                interpreter = open_interpreter(self._content, self.threads, (batch, SIZE, SIZE, 1))
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


def _split(n: int) -> Iterator[tuple[int, int]]:
    """Yield (start, size) of batches that together make n."""
    start = 0
    for size in _BATCHES:
        while n - start >= size:
            yield start, size
            start += size


# Called with the number of faces done and the total.
Progress = Callable[[int, int], None]
# Faces per batch, by default.
BATCH = 256


def batches(crops: ByteArray, progress: Progress | None = None, size: int = BATCH) -> Iterator[ByteArray]:
    """Yield the crops in batches, in order; without crops a single empty batch.

    Args:
        crops: `(n, 48, 48)` uint8 in [0, 255], gray.
        progress: Called with the number of faces done and the total, after each batch.
        size: Faces per batch; the last may have fewer.
    """
    for start in range(0, max(len(crops), 1), size):
        yield crops[start : start + size]
        if progress is not None:
            progress(min(start + size, len(crops)), len(crops))


def encode_all(
    encoder: Encoder, crops: ByteArray, progress: Progress | None = None, *, batch_size: int = BATCH
) -> Encoded:
    """Encode any number of crops in batches, so that memory stays bounded.

    Args:
        encoder: The network.
        crops: `(n, 48, 48)` uint8 in [0, 255], gray.
        progress: Called with the number of faces done and the total, after each batch.
        batch_size: Number of faces to encode at a time.
    """
    parts = [encoder.encode(batch) for batch in batches(crops, progress, batch_size)]
    logits = {name: np.concatenate([part.logits[name] for part in parts]) for name in parts[0].logits}
    return Encoded(np.concatenate([part.embeddings for part in parts]), logits)
