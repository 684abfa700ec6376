"""Drawings on the page of a data set: face thumbnails from one sprite sheet, and histograms."""

import base64
import io

import numpy as np
import numpy.typing as npt
from PIL import Image

from moodspace.arrays import ByteArray, FloatArray
from moodspace.embeddings.crops import SIZE
from moodspace.viz.theme import text

COLUMNS = 24
# The largest side of a WebP image is 16,383 pixels.
MAX_FACES = COLUMNS * (16383 // SIZE)
_QUALITY = 80
BINS = 32
_WIDTH, _HEIGHT = 160, 44


class Thumbnails:
    """Collects faces while a page is written; its CSS then shows them from one sprite sheet."""

    def __init__(self) -> None:
        self._crops: list[ByteArray] = []

    def __len__(self) -> int:
        return len(self._crops)

    def face(self, crop: ByteArray, note: str) -> str:
        """Add a face and return its HTML element, which is as wide as the CSS property `--side`.

        Args:
            crop: `(48, 48)` uint8 in [0, 255], gray.
            note: Plain text that describes the face, for screen readers and the magnifier.

        Raises:
            ValueError: The sheet is full.
        """
        if len(self) >= MAX_FACES:
            raise ValueError(f"thumbnails: expected at most {MAX_FACES}, got one more; show fewer faces")
        row, column = divmod(len(self), COLUMNS)
        self._crops.append(crop)
        return f'<i class="face" style="--x:{column};--y:{row}" role="img" aria-label="{text(note)}"></i>'

    def style(self) -> str:
        """Return the CSS rules that show the faces, with the sprite sheet as a data URL."""
        rows = max(1, -(-len(self) // COLUMNS))
        sheet = np.zeros((rows * SIZE, COLUMNS * SIZE), np.uint8)
        for number, crop in enumerate(self._crops):
            top, left = (place * SIZE for place in divmod(number, COLUMNS))
            sheet[top : top + SIZE, left : left + SIZE] = crop
        packed = io.BytesIO()
        Image.fromarray(sheet).save(packed, "WEBP", quality=_QUALITY)
        picture = base64.b64encode(packed.getvalue()).decode("ascii")
        # Positions in percent of the element, so that a face can have any size.
        across, down = (f"calc(var(--{axis}) * 100% / {max(1, n - 1)})" for axis, n in (("x", COLUMNS), ("y", rows)))
        return (
            ".face { display: inline-block; flex: none; width: var(--side, 48px); aspect-ratio: 1; border-radius: 8%; "
            f"vertical-align: top; background-color: var(--wash); background-size: {COLUMNS}00% {rows}00%; "
            f"background-position: {across} {down}; background-image: url(data:image/webp;base64,{picture}); }}\n"
        )


def histogram(values: FloatArray, overall: FloatArray, shade: str, top: float) -> str:
    """Draw the distribution of one class over that of all faces, as SVG; both curves enclose the same area.

    Args:
        values: `(m,)` float32 of one class, m > 0.
        overall: `(n,)` float32 of all faces.
        shade: Hex color of the class.
        top: Value at the right edge; larger values count in the last bin.
    """
    own, rest = (np.histogram(np.clip(some, 0, top), BINS, (0, top))[0] / len(some) for some in (values, overall))
    highest = max(own.max(), rest.max())
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT + 1}" preserveAspectRatio="none" style="--shade:{shade}" '
        'aria-hidden="true">'
        f'<path class="own" d="M0 {_HEIGHT} {_steps(own / highest)} L{_WIDTH} {_HEIGHT}Z"/>'
        f'<path class="all" d="M0 {_HEIGHT} {_steps(rest / highest)} L{_WIDTH} {_HEIGHT}"/></svg>'
    )


def _steps(shares: npt.NDArray[np.float64]) -> str:
    step = _WIDTH / len(shares)
    return " ".join(
        f"L{number * step:g} {_HEIGHT * (1 - share):.1f} L{(number + 1) * step:g} {_HEIGHT * (1 - share):.1f}"
        for number, share in enumerate(shares)
    )
