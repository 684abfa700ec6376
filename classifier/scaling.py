"""Fits what makes each witness's probabilities honest: the head's scales and biases, the votes' temperature."""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt
from scipy.optimize import minimize, minimize_scalar

from classifier.calibration import sharpen
from classifier.metrics import nll
from classifier.votes import IntArray

DoubleArray = npt.NDArray[np.float64]

# How much the classes' scales and biases may differ is held by a normal prior of standard deviation 1 / sqrt(2 * 3) =
# 0.4 on the log of a scale against their mean and on a bias. Thousands of faces outweigh it (on FER2013's 3,589 it is
# a ridge of 8e-4 on the mean log-likelihood); with ten faces, or for a class without any, it decides.
PRIOR = 3.0
_SCALES = (0.05, 20.0)  # faces that the head gets all right would otherwise ask for an infinite scale
_TEMPERATURES = (0.05, 20.0)
_SMOOTHINGS = (1e-6, 0.1)


def fit_scaling(logits: npt.NDArray[np.floating], labels: IntArray) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Returns the scale and the bias of each class that make the true labels most likely, under `PRIOR`.

    Vector scaling (Guo et al., On Calibration of Modern Neural Networks, ICML 2017, section 4.2). The overall scale,
    one over what is else called the temperature, is free within [0.05, 20].

    Args:
        logits: `(n, C)`, raw outputs of the head; n >= 1.
        labels: `(n,)` int64 in [0, C).

    Returns:
        Scales and biases, C each, in column order.
    """
    exact, n_classes = logits.astype(np.float64), logits.shape[1]
    found = minimize(
        _cost_and_gradient,
        np.zeros(2 * n_classes),
        args=(exact, labels),
        jac=True,
        method="L-BFGS-B",
        bounds=[(np.log(_SCALES[0]), np.log(_SCALES[1]))] * n_classes + [(None, None)] * n_classes,
    )
    scale, bias = np.exp(found.x[:n_classes]), found.x[n_classes:]
    return tuple(scale.tolist()), tuple(bias.tolist())


def _cost_and_gradient(parameters: DoubleArray, logits: DoubleArray, labels: IntArray) -> tuple[float, DoubleArray]:
    """The mean negative log-likelihood and the prior, at `(log scales, biases)`, and their gradient."""
    (n, n_classes), rows = logits.shape, np.arange(len(labels))
    log_scale, bias = parameters[:n_classes], parameters[n_classes:]
    scaled = np.exp(log_scale) * logits
    moved = scaled + bias
    moved -= moved.max(axis=1, keepdims=True)
    powers = np.exp(moved)
    sums = powers.sum(axis=1)
    apart, weight = log_scale - log_scale.mean(), PRIOR / n
    cost = np.mean(np.log(sums) - moved[rows, labels]) + weight * (apart @ apart + bias @ bias)
    slope = powers / sums[:, None]
    slope[rows, labels] -= 1.0
    slope /= n
    return float(cost), np.concatenate(
        [(slope * scaled).sum(axis=0) + 2 * weight * apart, slope.sum(axis=0) + 2 * weight * bias]
    )


def fit_votes_scaling(shares: npt.NDArray[np.floating], labels: IntArray) -> tuple[float, float]:
    """Returns the temperature in [0.05, 20] and the smoothing in [1e-6, 0.1] that make honest probabilities of shares.

    Both at once, by likelihood: `sharpen(shares + smoothing, temperature)`. A temperature alone leaves shares of
    exactly 0 and 1 where they are, and most are where the gallery is what the embedding was trained on.

    Args:
        shares: `(n, C)` vote shares, rows sum to 1; with n = 0 nothing is changed.
        labels: `(n,)` int64 in [0, C).
    """
    if not len(labels):
        return 1.0, 0.0
    found = minimize(
        lambda at: nll(sharpen(shares + np.exp(at[1]), np.exp(at[0])), labels),
        np.log([1.0, 1e-3]),
        method="Nelder-Mead",
        bounds=[np.log(_TEMPERATURES), np.log(_SMOOTHINGS)],
        options={"xatol": 1e-3, "fatol": 1e-6},
    )
    return float(np.exp(found.x[0])), float(np.exp(found.x[1]))


def fit_temperature(soften: Callable[[float], DoubleArray], labels: IntArray, lowest: float, highest: float) -> float:
    """Returns the temperature in [lowest, highest] at which `soften(temperature)` makes the labels most likely.

    Args:
        soften: from a temperature to `(n, C)` probabilities, rows sum to 1; n >= 1.
        labels: `(n,)` int64 in [0, C).
        lowest: > 0, as `highest`.
        highest: the largest temperature tried.
    """
    found = minimize_scalar(
        lambda log: nll(soften(float(np.exp(log))), labels),
        bounds=(np.log(lowest), np.log(highest)),
        method="bounded",
        options={"xatol": 1e-4},
    )
    return float(np.exp(found.x))
