"""What one training does, in numbers: the recipe that the manifest of a bundle repeats."""

import dataclasses
from collections.abc import Sequence
from typing import Any

OPTIMIZERS = ("adamw", "adam", "sgd")


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """The choices of one training.

    Attributes:
        arch: Name in `embeddings.training.network.BACKBONES`.
        init: "imagenet", a weights file, or "none"; MobileNetV2 only.
        pixels: Side of the picture inside MobileNetV2.
        dense_map: MobileNetV2 keeps its last stage unstrided.
        dim: Length of the embedding.
        epochs: At most so many.
        patience: Stop after so many epochs without a better validation accuracy; 0 never stops.
        batch: Faces a step.
        optimizer: "adamw", "adam" (constant rate) or "sgd" (Nesterov momentum 0.9).
        learning_rate: Peak rate, after `warmup` epochs; then a cosine to zero.
        warmup: Epochs of linear rise.
        weight_decay: Decoupled; not on biases and normalization.
        ema: Momentum of the exponential moving average of the weights, which is what is validated and kept.
        label_smoothing: Share of each target that is spread over all classes.
        mixup: Alpha of the Beta distribution; 0 switches it off.
        mixup_share: Share of the batches that are mixed.
        softmax_weight: Factor of the cross-entropy losses; 0 trains by triplets alone.
        side_weight: Further factor for each label set after the first.
        triplet_weight: Factor of the triplet loss; 0 switches it off.
        triplet_mining: "semi_hard" or "batch_hard".
        margin: Of the triplet loss, on distances between unit vectors.
        distill_weight: Factor of the loss against teachers; the label losses get the rest of 1.
        distill_temperature: Softening of both sides.
        augment: Whether faces are changed at random.
        bfloat16: Compute in bfloat16; for accelerators.
        seed: Of weights, order, augmentation and mixing.
    """

    arch: str = "mobilenet_v2"
    init: str = "imagenet"
    pixels: int = 112
    dense_map: bool = False
    dim: int = 128
    epochs: int = 400
    patience: int = 0
    batch: int = 256
    optimizer: str = "adamw"
    learning_rate: float = 1e-3
    warmup: float = 3.0
    weight_decay: float = 0.05
    ema: float = 0.999
    label_smoothing: float = 0.1
    mixup: float = 0.2
    mixup_share: float = 0.5
    softmax_weight: float = 1.0
    side_weight: float = 0.5
    triplet_weight: float = 0.1
    triplet_mining: str = "semi_hard"
    margin: float = 0.2
    distill_weight: float = 0.0
    distill_temperature: float = 2.0
    augment: bool = True
    bfloat16: bool = False
    seed: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return the fields as plain values."""
        return dataclasses.asdict(self)


_TRUTH = {"true": True, "false": False}
_TEACHER = {"optimizer": "sgd", "learning_rate": 0.05, "weight_decay": 3e-3, "epochs": 220, "triplet_weight": 0.0}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "mobilenet_v2": {},
    # The original course project's recipe.
    "cnn": {
        "batch": 128,
        "optimizer": "adam",
        "learning_rate": 1e-4,
        "epochs": 150,
        "patience": 30,
        "weight_decay": 0.0,
        "label_smoothing": 0.0,
        "mixup": 0.0,
        "triplet_weight": 0.0,
        "side_weight": 0.0,
    },
    "vgg": _TEACHER,
    "resnet_se": {**_TEACHER, "epochs": 150},
}


def recipe_for(arch: str, **changes: Any) -> Recipe:
    """Return the recipe of an architecture, with changes.

    Args:
        arch: One of the architectures.
        **changes: Fields of `Recipe`; None leaves a field as it is.

    Raises:
        ValueError: Unknown architecture or optimizer, or a number out of its range.
    """
    if arch not in _DEFAULTS:
        raise ValueError(f"arch: expected one of {', '.join(_DEFAULTS)}, got {arch!r}.")
    chosen = {name: value for name, value in changes.items() if value is not None}
    recipe = Recipe(**{"arch": arch, **_DEFAULTS[arch], **chosen})
    _check(recipe)
    return recipe


def _check(recipe: Recipe) -> None:
    if recipe.optimizer not in OPTIMIZERS:
        raise ValueError(f"optimizer: expected one of {', '.join(OPTIMIZERS)}, got {recipe.optimizer!r}.")
    for name in ("epochs", "batch", "dim", "pixels"):
        if getattr(recipe, name) < 1:
            raise ValueError(f"{name}: expected at least 1, got {getattr(recipe, name)}.")
    for name in ("learning_rate", "distill_temperature"):
        if not getattr(recipe, name) > 0:
            raise ValueError(f"{name}: expected more than 0, got {getattr(recipe, name)}.")
    for name in ("ema", "label_smoothing", "mixup_share", "distill_weight"):
        if not 0 <= getattr(recipe, name) <= 1:
            raise ValueError(f"{name}: expected 0 to 1, got {getattr(recipe, name)}.")


def parse_settings(settings: Sequence[str]) -> dict[str, Any]:
    """Read fields of a recipe written as text.

    Args:
        settings: Each `NAME=VALUE`, as `triplet_weight=0.1` or `augment=false`.

    Raises:
        ValueError: No such field, or a value that is not of its type.
    """
    defaults = Recipe().to_json()
    found: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in defaults:
            raise ValueError(f"setting: expected NAME=VALUE with one of {', '.join(defaults)}, got {setting!r}.")
        kind = type(defaults[name])
        try:
            found[name] = _TRUTH[text.lower()] if kind is bool else kind(text)
        except (ValueError, KeyError):
            raise ValueError(f"{name}: expected {kind.__name__}, got {text!r}.") from None
    return found
