"""A person's resting face as zero.

A face that looks stern at rest is read as angry or sad all the time. The baseline is what the network says of this face
at rest. Half of the difference between that and what the gallery's neutral faces look like is subtracted from the
log-probabilities of every later prediction for this person, in each label set before they are blended.
`python -m benchmarks baseline` compares this form with others and measures the constants.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from moodspace.arrays import DoubleArray, FloatArray
from moodspace.classifier.bundle.bundle import Bundle
from moodspace.classifier.recognizer import Recognizer, calibrated_knn, max_neighbors
from moodspace.embeddings.encoder import Encoded
from moodspace.embeddings.files.names import write_whole
from moodspace.errors import MoodspaceError

NEUTRAL = "neutral"

# The share of the difference between a resting face and a typical neutral one that is subtracted. Of all of it, too
# much goes: expressions that resemble the resting face are then read as neutral.
STRENGTH = 0.5
# Smaller probabilities count as this much, so that one class that was never likely does not decide.
_LEAST_PROBABILITY = 1e-6
# How many neutral faces of the gallery a resting face is compared with.
_TYPICAL_FACES = 400

# A resting face may resemble these expressions. Who asks for a measurement is refused only if the face shows one of
# them almost for certain; a measurement that nobody asked for must be more careful. Any other expression, such as a
# smile, is refused from a lower probability on.
_SEEN_AT_REST = ("angry", "contempt", "disgust", "fear", "sad")
_MOST_IF_ASKED, _MOST_UNASKED, _MOST_OTHERWISE = 0.95, 0.8, 0.7
# The mean distance (total variation) of the frames' probabilities from their mean. At rest it is below 0.1 on the
# clips; from rest to a smile it is 0.4 or more.
_MOST_CHANGE = 0.2
# Frames that are needed, and the share of all frames that must be readable.
LEAST_FRAMES, _LEAST_READABLE = 5, 0.5
# An embedding in a file whose length differs more from 1 is damaged.
_LENGTH_TOLERANCE = 0.01

FORMAT, VERSION = "moodspace-baseline", 1


class RefusedBaselineError(MoodspaceError):
    """The faces are not one person at rest, or cannot be read well enough."""


class BaselineError(MoodspaceError):
    """A baseline cannot be used with this bundle, or its file cannot be read."""

    exit_code = 3


@dataclass(frozen=True, slots=True, eq=False)
class Baseline:
    """A person's resting face.

    Attributes:
        embedding: `(d,)` float32 of unit length, the mean embedding.
        logits: For each label set `(C,)` float32, the mean logits, in column order.
        frames: The number of frames that were averaged, >= 1.
        encoder: The fingerprint of the encoder that read them.

    Raises:
        ValueError: A number is not finite.
    """

    embedding: FloatArray
    logits: Mapping[str, FloatArray]
    frames: int
    encoder: str

    def __post_init__(self) -> None:
        for name, values in {"embedding": self.embedding, **self.logits}.items():
            if values.ndim != 1 or not len(values) or not np.isfinite(values).all():
                raise ValueError(f"baseline, {name}: expected finite numbers, got {values}")

    @classmethod
    def mean(cls, encoded: Encoded, encoder: str) -> "Baseline":
        """Average n >= 1 encoded faces of one person.

        Args:
            encoded: The faces.
            encoder: The fingerprint of the encoder.
        """
        embedding = encoded.embeddings.mean(axis=0, dtype=np.float64)
        embedding /= max(float(np.linalg.norm(embedding)), 1e-12)
        logits = {name: values.mean(axis=0, dtype=np.float64) for name, values in encoded.logits.items()}
        rounded = {name: values.astype(np.float32) for name, values in logits.items()}
        return cls(embedding.astype(np.float32), rounded, len(encoded), encoder)

    def encoded(self) -> Encoded:
        """Return it as one encoded face."""
        return Encoded(self.embedding[None], {name: values[None] for name, values in self.logits.items()})

    def save(self, path: str | Path) -> None:
        """Write it to a small JSON file, readable by its owner only; an existing file is replaced.

        Raises:
            OSError: The file cannot be written.
        """
        file = Path(path)
        values = {
            "format": FORMAT,
            "version": VERSION,
            "encoder": self.encoder,
            "measured": datetime.now(UTC).isoformat(timespec="seconds"),
            "frames": self.frames,
            "embedding": _rounded(self.embedding),
            "logits": {name: _rounded(row) for name, row in self.logits.items()},
        }

        def write(aside: Path) -> None:
            aside.touch(mode=0o600)
            aside.write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")

        write_whole(file, write)


def load_baseline(path: str | Path, bundle: Bundle) -> Baseline:
    """Read a baseline that `Baseline.save` wrote.

    Args:
        path: The file.
        bundle: The bundle that it will be used with.

    Raises:
        BaselineError: The file is missing, damaged, of another version, or was measured with another encoder.
    """
    file = Path(path)
    values = _read_file(file)
    if values.get("version") != VERSION:
        raise BaselineError(f"{file}: expected a baseline of version {VERSION}, got {values.get('version')!r}")
    try:
        baseline = Baseline(
            np.array(values["embedding"], np.float32),
            {name: np.array(row, np.float32) for name, row in values["logits"].items()},
            int(values["frames"]),
            str(values["encoder"]),
        )
        if baseline.frames < 1 or abs(float(np.linalg.norm(baseline.embedding)) - 1) > _LENGTH_TOLERANCE:
            raise ValueError("expected an embedding of length 1")
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BaselineError(f"{file}: expected a saved baseline, got a damaged one; measure it again") from error
    try:
        check_encoder(baseline, bundle)
    except BaselineError as error:
        raise BaselineError(f"{file}: {error}") from error
    return baseline


def delete_baseline(path: str | Path) -> None:
    """Delete a saved baseline.

    Raises:
        BaselineError: The file is missing, or is not a saved baseline.
        OSError: It cannot be deleted.
    """
    _read_file(Path(path))
    Path(path).unlink()


def _read_file(file: Path) -> dict[str, Any]:
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise BaselineError(f"{file}: expected a saved baseline, got none ({error.strerror or error})") from error
    except (ValueError, RecursionError) as error:
        raise BaselineError(f"{file}: expected a saved baseline, got another kind of file") from error
    if not isinstance(values, dict) or values.get("format") != FORMAT:
        raise BaselineError(f"{file}: expected a saved baseline, got another kind of file")
    return values


def check_encoder(baseline: Baseline, bundle: Bundle) -> None:
    """Check that a baseline was measured with the encoder of a bundle.

    Raises:
        BaselineError: It was measured with another one, or its numbers do not fit.
    """
    spec = bundle.encoder_spec
    shapes = {name: len(row) for name, row in baseline.logits.items()}
    fits = len(baseline.embedding) == spec.dim and shapes == {name: len(row) for name, row in bundle.classes.items()}
    if baseline.encoder != spec.fingerprint or not fits:
        raise BaselineError("expected a baseline of this bundle, got one of another; measure it again")


def measure_baseline(
    recognizer: Recognizer,
    encoded: Encoded,
    looked: int | None = None,
    *,
    least: int = LEAST_FRAMES,
    asked: bool = True,
) -> Baseline:
    """Make a baseline from frames of one relaxed face.

    Args:
        recognizer: The recognizer that will use it.
        encoded: The readable frames, in order.
        looked: The number of all frames, readable or not; None if all were readable.
        least: The number of readable frames that are needed.
        asked: Whether the person was asked to look relaxed; if not, more faces are refused.

    Raises:
        RefusedBaselineError: There are too few readable frames, the expression changed, or it is not a resting face.
        BaselineError: The view has no neutral class.
    """
    check_view(recognizer)
    looked = len(encoded) if looked is None else looked
    if reason := refusal(recognizer, encoded, looked, least=least, asked=asked):
        raise RefusedBaselineError(reason)
    return Baseline.mean(encoded, recognizer.bundle.encoder_spec.fingerprint)


def refusal(
    recognizer: Recognizer, encoded: Encoded, looked: int, *, least: int = LEAST_FRAMES, asked: bool = True
) -> str:
    """Return in one sentence why frames make no baseline; "" if they do. For the arguments, see `measure_baseline`."""
    n = len(encoded)
    if n < least <= looked or n < _LEAST_READABLE * looked or not n:
        return f"the face could be read in {n} of {looked} frames; face the camera in good light and try again"
    if n < least:
        return f"expected at least {least} frames of the face, got {n}; measure it for longer"
    prediction = recognizer.untaught(encoded)
    mean = prediction.proba.mean(axis=0)
    if 0.5 * float(np.abs(prediction.proba - mean).sum(axis=1).mean()) > _MOST_CHANGE:
        return "the expression changed while it was measured; look relaxed, hold still and try again"
    return not_at_rest(prediction.classes, mean, asked=asked)


def not_at_rest(classes: Sequence[str], proba: FloatArray, *, asked: bool = True) -> str:
    """Return in one sentence why a face is not at rest; "" if it may be.

    Args:
        classes: The names of the C classes.
        proba: `(C,)` their probabilities.
        asked: See `measure_baseline`.
    """
    most = _MOST_IF_ASKED if asked else _MOST_UNASKED
    for name, share in zip(classes, proba.tolist(), strict=True):
        if name != NEUTRAL and share >= (most if name in _SEEN_AT_REST else _MOST_OTHERWISE):
            return f"the face shows {name} ({100 * share:.0f} %), it is not at rest; look relaxed and try again"
    return ""


@dataclass(frozen=True, slots=True, eq=False)
class Rest:
    """How a baseline changes the predictions of one view.

    Attributes:
        shift: For each label set of the view `(C,)` float64, added to the log-probabilities of its classes; 0 for
            neutral.
        proba: `(C,)` float32, sums to 1, what the resting face itself is read as in the view, with the shift.
    """

    shift: Mapping[str, DoubleArray]
    proba: FloatArray


def rest_of(baseline: Baseline, recognizer: Recognizer) -> Rest:
    """Return how a baseline changes the predictions of a recognizer.

    It never makes the resting face less neutral: then the shift is 0.

    Raises:
        BaselineError: It was measured with another bundle, or the view has no neutral class.
    """
    check_encoder(baseline, recognizer.bundle)
    check_view(recognizer)
    shift = {}
    for name in recognizer.label_sets:
        classes = recognizer.bundle.classes[name]
        if NEUTRAL in classes:
            neutral, typical = classes.index(NEUTRAL), typical_neutral(recognizer.bundle, name)
            at_rest = log_probabilities(Recognizer(recognizer.bundle, name).untaught(baseline.encoded()).proba)[0]
            shift[name] = STRENGTH * ((typical - typical[neutral]) - (at_rest - at_rest[neutral]))
    neutral = recognizer.classes.index(NEUTRAL)
    read, shifted = (recognizer.untaught(baseline.encoded(), shift=by).proba[0] for by in (None, shift))
    if shifted[neutral] < read[neutral]:
        # This face at rest is more clearly neutral than others: there is nothing to correct.
        return Rest({name: np.zeros_like(by) for name, by in shift.items()}, read)
    return Rest(shift, shifted)


def check_view(recognizer: Recognizer) -> None:
    """Check that a recognizer's view can use a baseline.

    Raises:
        BaselineError: The view has no neutral class, or the gallery has no neutral faces.
    """
    typical_neutral(recognizer.bundle, recognizer.label_set)


@lru_cache(maxsize=4)
def typical_neutral(bundle: Bundle, view: str) -> DoubleArray:
    """Return the mean log-probabilities of the gallery's neutral faces, each by the votes of the others.

    Args:
        bundle: The bundle.
        view: A label set, or the blend.

    Returns:
        `(C,)` float64, columns in the order of the view's classes.

    Raises:
        BaselineError: The view has no neutral class, or the gallery has no neutral faces.
    """
    recognizer = Recognizer(bundle, view)
    if NEUTRAL not in recognizer.classes:
        raise BaselineError(f"baseline: expected a view with the class neutral, got {', '.join(recognizer.classes)}")
    neutral = np.flatnonzero(recognizer.gallery_labels == recognizer.classes.index(NEUTRAL))
    if len(neutral) < 2:
        raise BaselineError("baseline: expected neutral faces in the bundle's gallery, got none")
    chosen = neutral[np.unique(np.linspace(0, len(neutral) - 1, _TYPICAL_FACES).astype(np.int64))]
    k = max_neighbors(bundle, view)
    found = bundle.index.search(bundle.index.gallery.embeddings[chosen], k + 1)
    rows = bundle.index.rows(found.ids)
    # Without the face itself, which is among its own neighbors.
    others = np.argsort(rows == chosen[:, None], axis=1, kind="stable")[:, :k]
    proba, _ = calibrated_knn(
        bundle, view, bundle.index.gallery.labels,
        np.take_along_axis(found.similarities, others, axis=1), np.take_along_axis(rows, others, axis=1),
    )  # fmt: skip
    return log_probabilities(proba).mean(axis=0)


def log_probabilities(proba: npt.NDArray[np.floating[Any]]) -> DoubleArray:
    """Return the logarithms of probabilities, those of tiny ones limited."""
    return np.log(np.maximum(proba.astype(np.float64), _LEAST_PROBABILITY))


def _rounded(values: FloatArray) -> list[float]:
    return [float(f"{value:.7g}") if math.isfinite(value) else value for value in values.tolist()]
