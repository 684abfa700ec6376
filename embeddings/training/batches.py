"""Batches of faces and targets, made anew each epoch from the seed alone, so that a resumed training sees the same."""

from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from moodspace.embeddings.data.labels import Targets
from moodspace.embeddings.encoder import EMBEDDING
from moodspace.embeddings.training.recipe import Recipe

Batch = tuple[dict[str, npt.NDArray[Any]], dict[str, npt.NDArray[Any]]]


class Batches(keras.utils.PyDataset):
    """Shuffled full batches; with mixup, of the faces' partners and weights too.

    The blending itself happens on the device (`embeddings.network.Mixup`), after augmentation; the targets are blended
    here. A blended face takes no part in the triplets.

    Args:
        crops: `(n, 48, 48)` uint8 grey.
        targets: For each label set its targets; the first one's labels make the triplets.
        recipe: Batch size, smoothing, mixing and seed.
    """

    def __init__(self, crops: npt.NDArray[np.uint8], targets: dict[str, Targets], recipe: Recipe) -> None:
        super().__init__()
        self.crops, self.recipe = crops, recipe
        self.size = min(recipe.batch, len(crops))
        self.labels = next(iter(targets.values())).labels.astype(np.int32)
        self.proba = {name: smooth(t.proba, recipe.label_smoothing) for name, t in targets.items()}
        self.start(0)

    def start(self, epoch: int) -> None:
        """Shuffle for an epoch; to be called before its first batch."""
        self.epoch = epoch
        self.order = np.random.default_rng((self.recipe.seed, epoch)).permutation(len(self.crops))

    def __len__(self) -> int:
        """Return the number of full batches: a partial one would be compiled apart."""
        return len(self.crops) // self.size

    def __getitem__(self, index: int) -> Batch:
        """Return batch `index` of the present epoch."""
        rows = self.order[index * self.size : (index + 1) * self.size]
        partner, weight = self._mix(np.random.default_rng((self.recipe.seed, self.epoch, index)))
        targets = {}
        for name, proba in self.proba.items():
            mine = proba[rows]
            targets[name] = weight[:, None] * mine + (1 - weight[:, None]) * mine[partner]
        targets[EMBEDDING] = np.where(weight > 0.999, self.labels[rows], -1).astype(np.int32)
        return {"crops": self.crops[rows], "partner": partner, "weight": weight}, targets

    def _mix(self, random: np.random.Generator) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        partner, weight = np.arange(self.size, dtype=np.int32), np.ones(self.size, np.float32)
        if self.recipe.mixup > 0 and random.random() < self.recipe.mixup_share:
            partner = random.permutation(self.size).astype(np.int32)
            weight = random.beta(self.recipe.mixup, self.recipe.mixup, self.size).astype(np.float32)
            weight = np.maximum(weight, 1 - weight)
        return partner, weight


def smooth(proba: npt.NDArray[np.float32], share: float) -> npt.NDArray[np.float32]:
    """Spread a share of each row evenly over the classes; a row of zeros, which has no label, stays zero.

    Args:
        proba: `(n, C)` float32.
        share: 0 to 1.

    Returns:
        `(n, C)` float32.
    """
    total = proba.sum(axis=1, keepdims=True)
    return ((1 - share) * proba + share * total / proba.shape[1]).astype(np.float32)
