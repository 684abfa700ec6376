"""Near copies of a face: what a camera makes of the same face a moment later."""

import numpy as np
import numpy.typing as npt

ByteArray = npt.NDArray[np.uint8]

_SHIFTS = ((0, 1), (1, 0), (0, -1), (-1, 0), (0, 2), (2, 0), (0, -2), (-2, 0), (1, 1), (2, 2), (-2, -2))
_BRIGHTNESS = (20, -20)


def near_copies(crops: ByteArray) -> dict[str, ByteArray]:
    """Mirrors, shifts and brightens faces, a little each.

    Args:
        crops: `(n, 48, 48)` uint8 in [0, 255], grey.

    Returns:
        By name, arrays of that shape: the mirror image; shifts by one or two pixels, at whose edges the last row or
        column is repeated; 20 grey levels more and less.
    """
    copies = {"flip": np.ascontiguousarray(crops[:, :, ::-1])}
    margin = max(abs(step) for shift in _SHIFTS for step in shift)
    padded = np.pad(crops, ((0, 0), (margin, margin), (margin, margin)), mode="edge")
    height, width = crops.shape[1:]
    for down, right in _SHIFTS:
        top, left = margin - down, margin - right
        copies[f"shift {down} {right}"] = np.ascontiguousarray(padded[:, top : top + height, left : left + width])
    for levels in _BRIGHTNESS:
        copies[f"brightness {levels:+d}"] = np.clip(crops.astype(np.int16) + levels, 0, 255).astype(np.uint8)
    return copies
