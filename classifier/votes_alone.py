"""What labelled faces say of a face whose picture is not at hand: their votes alone, without the network's own head."""

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from classifier.blend import BLEND
from classifier.bundle import Bundle
from classifier.ensemble import calibrated_votes
from classifier.votes import BoolArray, FloatArray, IntArray, vote


def voters(bundle: Bundle, view: str) -> int:
    """Returns how many of the nearest faces vote at most in a view of a bundle: a label set, or the blend."""
    return max(bundle.calibrations[name].k for name in _label_sets(bundle, view))


def votes_alone(
    bundle: Bundle, view: str, labels: Mapping[str, IntArray], similarities: FloatArray, rows: IntArray
) -> tuple[FloatArray, BoolArray]:
    """Returns what the nearest faces of a bundle's gallery say, calibrated.

    Args:
        bundle: Whose calibrations and blend count.
        view: A label set, or the blend.
        labels: The gallery's labels, for each label set `(m,)` int64, -1 for none.
        similarities: `(n, k)` float32 cosines to the nearest faces, best first.
        rows: `(n, k)` int64, their rows in the gallery, -1 where there is none.

    Returns:
        `(n, C)` float32, rows sum to 1, columns in the order of the view's classes; and `(n,)` bool, False where nobody
        voted, so that the row says nothing.
    """
    parts: dict[str, npt.NDArray[np.float64]] = {}
    voted = np.zeros(len(rows), np.bool_)
    for name in _label_sets(bundle, view):
        calibration = bundle.calibrations[name]
        ballots = np.append(labels[name], -1)[rows]
        votes = vote(similarities, ballots, len(bundle.classes[name]), tau=calibration.tau, k=calibration.k)
        parts[name] = calibrated_votes(votes.proba, calibration)
        voted |= votes.voted
    proba = bundle.blend.mean(parts, bundle.classes) if view == BLEND and bundle.blend else parts[view]
    return proba.astype(np.float32), voted


def _label_sets(bundle: Bundle, view: str) -> list[str]:
    return list(bundle.blend.shares) if view == BLEND and bundle.blend else [view]
