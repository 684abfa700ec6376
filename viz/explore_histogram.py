"""A small histogram as SVG: the faces of one class as an area, all faces as a line over it."""

import numpy as np
import numpy.typing as npt

FloatArray = npt.NDArray[np.float32]

BINS = 32
_WIDTH, _HEIGHT = 160, 44


def histogram(values: FloatArray, everybody: FloatArray, shade: str, top: float) -> str:
    """Draws how values lie between 0 and `top`; each curve encloses the same area.

    Args:
        values: `(m,)` float32, of one class, at least one.
        everybody: `(n,)` float32, of all faces.
        shade: Hex colour of the class.
        top: What the right edge stands for; what is beyond counts in the last bin.
    """
    own, rest = (np.histogram(np.clip(some, 0, top), BINS, (0, top))[0] / len(some) for some in (values, everybody))
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
