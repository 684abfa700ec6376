"""The losses: softmax cross-entropy with soft targets, distillation, and triplets mined within the batch.

All are written in `keras.ops`, so that TensorFlow and JAX train with the same code.
"""

import keras
from keras import ops

TRIPLETS = ("semi_hard", "batch_hard")


def soft_cross_entropy(target: keras.KerasTensor, logits: keras.KerasTensor) -> keras.KerasTensor:
    """Return the cross-entropy of softmax(logits) against a distribution.

    Args:
        target: `(n, C)` float32; each row sums to 1, or is all zero if the face has no label in this set; it then adds
            nothing to the loss.
        logits: `(n, C)` float32.

    Returns:
        `(n,)` float32, in nats.
    """
    return -ops.sum(target * ops.log_softmax(ops.cast(logits, "float32"), axis=-1), axis=-1)


def distillation(teacher_proba: keras.KerasTensor, logits: keras.KerasTensor, temperature: float) -> keras.KerasTensor:
    """Return the cross-entropy of the student against its teacher, both softened (Hinton et al. 2015).

    Args:
        teacher_proba: `(n, C)` float32, the teacher's probabilities at `temperature`.
        logits: `(n, C)` float32, the student's.
        temperature: Temperature of the student. The loss is multiplied by its square to keep the size of the gradient.

    Returns:
        `(n,)` float32.
    """
    return soft_cross_entropy(teacher_proba, logits / temperature) * temperature**2


def pairwise_distances(embeddings: keras.KerasTensor) -> keras.KerasTensor:
    """Return the Euclidean distances between unit vectors, `sqrt(2 - 2 cos)`.

    Args:
        embeddings: `(n, d)` float32, rows L2-normalized.

    Returns:
        `(n, n)` float32 in [0, 2].
    """
    similarity = ops.matmul(embeddings, ops.transpose(embeddings))
    # The floor keeps the gradient of the square root finite at distance 0.
    return ops.sqrt(ops.maximum(2.0 - 2.0 * similarity, 1e-12))


def semi_hard_triplets(
    distances: keras.KerasTensor, labels: keras.KerasTensor, margin: float
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return triplet losses with semi-hard negatives (Schroff et al. 2015, FaceNet).

    For each anchor a and positive p, the negative is the nearest n with `d(a, p) < d(a, n)`, or the farthest n if there
    is none. The loss is `max(0, d(a, p) - d(a, n) + margin)`.

    Args:
        distances: `(n, n)` float32.
        labels: `(n,)` int; faces with -1 are ignored.
        margin: Required gap between negative and positive distance.

    Returns:
        `(n, n)` losses of each (anchor, positive), and the `(n, n)` bool mask of valid pairs.
    """
    positive, negative = _pairs(labels)
    valid = ops.logical_and(positive, ops.any(negative, axis=1, keepdims=True))
    d_ap, d_an = distances[:, :, None], distances[:, None, :]
    outside = ops.logical_and(negative[:, None, :], d_an > d_ap)
    nearest_outside = ops.min(ops.where(outside, d_an, 4.0), axis=2)
    farthest = ops.max(ops.where(negative, distances, -1.0), axis=1, keepdims=True)
    chosen = ops.where(ops.any(outside, axis=2), nearest_outside, farthest)
    losses = ops.maximum(distances - chosen + margin, 0.0)
    return ops.where(valid, losses, 0.0), valid


def batch_hard_triplets(
    distances: keras.KerasTensor, labels: keras.KerasTensor, margin: float
) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    """Return triplet losses with the farthest positive and nearest negative of each anchor (Hermans et al. 2017).

    Args:
        distances: `(n, n)` float32.
        labels: `(n,)` int; faces with -1 are ignored.
        margin: Required gap between negative and positive distance.

    Returns:
        `(n,)` losses of each anchor, and the `(n,)` bool mask of anchors that have a positive and a negative.
    """
    positive, negative = _pairs(labels)
    valid = ops.logical_and(ops.any(positive, axis=1), ops.any(negative, axis=1))
    farthest = ops.max(ops.where(positive, distances, -1.0), axis=1)
    nearest = ops.min(ops.where(negative, distances, 4.0), axis=1)
    losses = ops.maximum(farthest - nearest + margin, 0.0)
    return ops.where(valid, losses, 0.0), valid


def _pairs(labels: keras.KerasTensor) -> tuple[keras.KerasTensor, keras.KerasTensor]:
    known = labels >= 0
    both = ops.logical_and(known[:, None], known[None, :])
    same = labels[:, None] == labels[None, :]
    rows = ops.arange(ops.shape(labels)[0])
    positive = ops.logical_and(ops.logical_and(same, both), rows[:, None] != rows[None, :])
    return positive, ops.logical_and(ops.logical_not(same), both)


def active_triplets(y_true: keras.KerasTensor, y_pred: keras.KerasTensor, margin: float = 0.2) -> keras.KerasTensor:
    """Return the share of anchors whose hardest triplet violates the margin. At 0 the loss has no gradient left.

    Args:
        y_true: `(n,)` or `(n, 1)` int labels; faces with -1 are ignored.
        y_pred: `(n, d)` float32 embeddings, rows L2-normalized.
        margin: Required gap between negative and positive distance.

    Returns:
        Scalar float32, 0 to 1.
    """
    labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
    losses, valid = batch_hard_triplets(pairwise_distances(ops.cast(y_pred, "float32")), labels, margin)
    return ops.sum(ops.cast(losses > 0, "float32")) / ops.maximum(ops.sum(ops.cast(valid, "float32")), 1.0)


@keras.saving.register_keras_serializable(package="moodspace")
class TripletLoss(keras.losses.Loss):
    """Mean triplet loss over the active triplets of the batch; exactly 0 if there are none.

    Args:
        mining: "semi_hard" or "batch_hard".
        margin: Required gap between negative and positive distance.
    """

    def __init__(self, mining: str = "semi_hard", margin: float = 0.2, name: str = "triplet", **kwargs: str) -> None:
        super().__init__(name=name, **kwargs)
        if mining not in TRIPLETS:
            raise ValueError(f"mining: expected one of {', '.join(TRIPLETS)}, got {mining!r}.")
        self.mining, self.margin = mining, margin

    def call(self, y_true: keras.KerasTensor, y_pred: keras.KerasTensor) -> keras.KerasTensor:
        """Compute the loss.

        Args:
            y_true: `(n,)` or `(n, 1)` int labels; faces with -1 are ignored.
            y_pred: `(n, d)` float32 embeddings, rows L2-normalized.

        Returns:
            Scalar float32.
        """
        mine = semi_hard_triplets if self.mining == "semi_hard" else batch_hard_triplets
        labels = ops.cast(ops.reshape(y_true, (-1,)), "int32")
        losses, _ = mine(pairwise_distances(ops.cast(y_pred, "float32")), labels, self.margin)
        active = ops.sum(ops.cast(losses > 0, "float32"))
        return ops.sum(losses) / ops.maximum(active, 1.0)

    def get_config(self) -> dict[str, object]:
        """Return the constructor's arguments."""
        return {**super().get_config(), "mining": self.mining, "margin": self.margin}
