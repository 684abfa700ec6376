"""How close a face has to be to a taught one for the taught one to speak."""

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from classifier.near_copies import near_copies
from classifier.whitening import Whitening
from embeddings.encoder import Encoder

# So surely a taught face can speak at most: what the network says is never silenced altogether.
_SUREST = 0.98
# A taught face this similar is the very picture, whatever rounding does: the gate is open, however crowded its class.
_ITSELF = 0.999
# What a mean says of its class weighs at most as much as a face that is this much nearer than an open gate needs.
_MEAN_AT_MOST = 0.03
# Share of near copies that may fall short of an even chance. Those that do still win where the network is unsure.
_MISSED = 0.045
SUREST_ODDS = _SUREST / (1 - _SUREST)


@dataclass(frozen=True, slots=True)
class Gate:
    """When taught faces speak, in whitened similarity; stored in a bundle's manifest.

    A face's nearest taught face of a class opens the gate by its similarity, and by nothing else where the class is one
    that the network knows. A class that it does not know is also recognised away from its examples, by their mean: its
    similarity is counted in standard deviations of what the bundle's own faces have. Both are smooth steps from 0,
    which is exact, to nearly 1.

    `closeness` is fitted to near copies of validation faces. The other values were chosen on the validation split with
    `benchmarks.teach`, such that up to 20 examples of a new class overrule fewer than 0.5 % of right answers.

    Attributes:
        closeness: Similarity to the only example of a class at which the gate is half open, in (0, 1).
        crowding: How it rises with the number of a class's examples: 1 - (1 - closeness) * n ** -crowding. Among many
            labelled faces one is near by chance.
        closeness_width: Half the width of the step.
        deviations: Standard deviations at which a new class's mean opens the gate half.
        deviations_by_example: What is added for each e-fold more examples, whose mean is more certain.
        deviations_by_class: What is added for each e-fold more new classes, so that all together do not claim more.
        deviations_width: Half the width of the step.
        least_examples: A new class with fewer is known by near copies alone.

    Raises:
        ValueError: a value outside its range.
    """

    closeness: float = 0.78
    crowding: float = 0.12
    closeness_width: float = 0.06
    deviations: float = 3.45
    deviations_by_example: float = 0.19
    deviations_by_class: float = 0.7
    deviations_width: float = 1.4
    least_examples: int = 3

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if (
                isinstance(value, bool)
                or not isinstance(value, int | float)
                or not (math.isfinite(value) and value > 0)
            ):
                raise ValueError(f"gate, {field.name}: expected a finite number > 0, received {value!r}")
        if self.closeness >= 1:
            raise ValueError(f"gate, closeness: expected a number below 1, received {self.closeness}")

    def to_json(self) -> dict[str, float]:
        """Returns the values by name, ready for `json.dumps`."""
        return asdict(self)

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Self:
        """Reads what `to_json` wrote.

        Raises:
            ValueError: a value is unknown, of another type or outside its range.
        """
        try:
            return cls(**values)
        except TypeError as error:
            raise ValueError(f"gate: expected the values {[field.name for field in fields(cls)]}: {error}") from error

    def near_odds(
        self, similarity: npt.NDArray[np.floating], examples: npt.NDArray[np.integer]
    ) -> npt.NDArray[np.float64]:
        """Returns the odds that a taught face gives its class.

        Args:
            similarity: whitened cosines of any shape.
            examples: of a shape that broadcasts to it, >= 1, how many examples the taught face's class has.
        """
        half = 1 - (1 - self.closeness) * np.asarray(examples, np.float64) ** -self.crowding
        odds = _odds(similarity, half, self.closeness_width)
        return np.where(np.asarray(similarity) >= _ITSELF, SUREST_ODDS, odds)

    def mean_odds(
        self, deviations: npt.NDArray[np.floating], examples: npt.NDArray[np.integer], new_classes: int
    ) -> npt.NDArray[np.float64]:
        """Returns the odds that the mean of a new class's examples gives the class.

        Args:
            deviations: `(n, c)`, similarity to each class's mean in standard deviations.
            examples: `(c,)`, >= 1, how many examples there are.
            new_classes: how many classes with enough examples the network does not know, >= 1.
        """
        return _odds(deviations, self._half_mean(examples, new_classes), self.deviations_width)

    def mean_nearness(
        self, deviations: npt.NDArray[np.floating], examples: npt.NDArray[np.integer], new_classes: int
    ) -> npt.NDArray[np.float64]:
        """Returns how similar the only example of a class would be that says as much as a mean; rises without end.

        Args:
            deviations, examples, new_classes: as for `mean_odds`.
        """
        beyond = (deviations - self._half_mean(examples, new_classes)) / self.deviations_width
        more = _MEAN_AT_MOST * (1 - np.exp(-np.maximum(beyond - 1, 0)))
        return np.asarray(self.closeness + self.closeness_width * np.clip(beyond, -1, 1) + more, np.float64)

    def _half_mean(self, examples: npt.NDArray[np.integer], new_classes: int) -> npt.NDArray[np.float64]:
        grown = self.deviations_by_example * np.log(examples) + self.deviations_by_class * math.log(new_classes)
        return np.asarray(self.deviations + grown, np.float64)


def _odds(values: npt.NDArray[np.floating], half: npt.NDArray[np.float64], width: float) -> npt.NDArray[np.float64]:
    """Returns the odds of a smooth step that is even at `half`, and 0 from `width` below."""
    share = np.clip((values - half + width) / (2 * width), 0, 1)
    opened = np.minimum(share * share * (3 - 2 * share), _SUREST)
    return np.asarray(opened / (1 - opened), np.float64)


def fit_gate(encoder: Encoder, whitening: Whitening, crops: npt.NDArray[np.uint8]) -> Gate:
    """Fits how close near copies of a face are.

    Args:
        encoder: the bundle's network.
        whitening: fitted to the bundle's gallery.
        crops: `(n, 48, 48)` uint8, validation faces; some hundred are enough, none leave the usual value.
    """
    if not len(crops):
        return Gate()
    faces = whitening(encoder.encode(crops).embeddings)
    copies = [whitening(encoder.encode(copy).embeddings) for copy in near_copies(crops).values()]
    similarity = np.stack([(faces * copy).sum(axis=1) for copy in copies])
    return Gate(closeness=float(np.clip(np.quantile(similarity, _MISSED), 0.5, 0.95)))
