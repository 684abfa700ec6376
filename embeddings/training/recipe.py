"""The recipe: all hyperparameters of a training, which the bundle's manifest records."""

import dataclasses
from collections.abc import Sequence
from typing import Any

OPTIMIZERS = ("adamw", "adam", "sgd")


@dataclasses.dataclass(frozen=True, slots=True)
class Recipe:
    """The hyperparameters of a training.

    Attributes:
        arch: Name of a backbone in `network.BACKBONES`.
        init: "imagenet", a weights file, or "none"; MobileNetV2 only.
        pixels: Input side of MobileNetV2.
        dense_map: Set the stride of MobileNetV2's last stage to 1.
        dim: Length of the embedding.
        epochs: Maximum number of epochs.
        patience: Stop after this many epochs without a better validation accuracy; 0 never stops.
        batch: Faces per step.
        optimizer: "adamw", "adam" (constant rate) or "sgd" (Nesterov momentum 0.9).
        learning_rate: Peak rate, after `warmup` epochs; then cosine decay to 0.
        warmup: Epochs of linear increase.
        weight_decay: Decoupled weight decay; not on biases and normalization.
        ema: Momentum of the exponential moving average of the weights, which is validated and kept.
        label_smoothing: Share of each target that is spread over all classes.
        mixup: Alpha of the Beta distribution; 0 disables mixup.
        mixup_share: Share of the batches that are mixed.
        softmax_weight: Factor of the cross-entropy losses; 0 trains with triplets alone.
        side_weight: Further factor for each label set after the first.
        triplet_weight: Factor of the triplet loss; 0 disables it.
        triplet_mining: "semi_hard" or "batch_hard".
        margin: Margin of the triplet loss, in distances between unit vectors.
        distill_weight: Factor of the distillation loss; the label losses get the rest of 1.
        distill_temperature: Softmax temperature of teachers and student.
        augment: Change faces at random.
        bfloat16: Compute in bfloat16; for accelerators.
        seed: Seed of weights, order, augmentation and mixup.
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
        """Return the fields by name, as plain values."""
        return dataclasses.asdict(self)


_BOOLEANS = {"true": True, "false": False}
_TEACHER = {"optimizer": "sgd", "learning_rate": 0.05, "weight_decay": 3e-3, "epochs": 220, "triplet_weight": 0.0}
_DEFAULTS: dict[str, dict[str, Any]] = {
    "mobilenet_v2": {},
    # The recipe of the original course project.
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
    """Return the default recipe of an architecture, with changes.

    Args:
        arch: Name of the architecture.
        **changes: Fields of `Recipe`; None keeps the default.

    Raises:
        ValueError: The architecture or optimizer is unknown, or a number is outside its range.
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
    """Parse fields of a recipe from text.

    Args:
        settings: Texts `NAME=VALUE`, such as `triplet_weight=0.1` or `augment=false`.

    Raises:
        ValueError: There is no such field, or the value has another type.
    """
    defaults = Recipe().to_json()
    found: dict[str, Any] = {}
    for setting in settings:
        name, _, text = setting.partition("=")
        if name not in defaults:
            raise ValueError(f"setting: expected NAME=VALUE with one of {', '.join(defaults)}, got {setting!r}.")
        kind = type(defaults[name])
        try:
            found[name] = _BOOLEANS[text.lower()] if kind is bool else kind(text)
        except (ValueError, KeyError):
            raise ValueError(f"{name}: expected {kind.__name__}, got {text!r}.") from None
    return found
