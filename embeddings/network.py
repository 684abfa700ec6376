"""The encoder: a backbone, an embedding of unit length, and a classification head for each label set."""

from collections.abc import Mapping

import keras
from keras import layers, ops

from embeddings.crops import SIZE
from embeddings.encoder import EMBEDDING
from embeddings.losses import distillation


@keras.saving.register_keras_serializable(package="moodspace")
class UnitLength(layers.Layer):
    """Divide each row by its L2 norm.

    Call arguments:
        x: `(n, d)` float.

    Output shape:
        `(n, d)` float32, rows L2-normalised.
    """

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Return the rows at unit length."""
        # The floor stands under the root: the gradient of the root itself is infinite at a row of zeros.
        return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), 1e-12))


def build_encoder(backbone: keras.Model, classes: Mapping[str, tuple[str, ...]], *, dim: int = 128) -> keras.Model:
    """Put an embedding and a softmax head for each label set on a backbone.

    The heads read the embedding before it is scaled to unit length: what makes classes separable for softmax then also
    gives the direction that cosine neighbours are found by. Batch normalisation takes out the mean direction that all
    faces share, which would bring all cosine similarities close to 1 (Luo et al. 2019, BNNeck).

    Args:
        backbone: Model from `(n, 48, 48, 1)` float32, grey, 0 to 255, to `(n, f)` features.
        classes: For each label set its class names in column order.
        dim: Length of the embedding.

    Returns:
        Model from `(n, 48, 48, 1)` to a dict: `embedding` `(n, dim)` float32, rows L2-normalised, and for each label
        set `(n, C)` float32 logits under its name.

    Raises:
        ValueError: A label set has the reserved name "embedding", or there is none.
    """
    if not classes or EMBEDDING in classes:
        raise ValueError(f"classes: expected label sets by names other than {EMBEDDING!r}, got {list(classes)}.")
    features = layers.Dense(dim, use_bias=False, dtype="float32", name="projection")(backbone.output)
    features = layers.BatchNormalization(dtype="float32", momentum=0.95, name="neck")(features)
    outputs = {EMBEDDING: UnitLength(dtype="float32", name=EMBEDDING)(features)}
    for label_set, names in classes.items():
        outputs[label_set] = layers.Dense(len(names), dtype="float32", name=label_set)(features)
    return keras.Model(backbone.input, outputs, name="encoder")


class Mixup(layers.Layer):
    """Blend each face with another of its batch (Zhang et al. 2018); the targets are blended where batches are made.

    Call arguments:
        faces: `(n, 48, 48, 1)` float32.
        partner: `(n,)` int32, row of the other face.
        weight: `(n,)` float32, 0 to 1: share of the face itself.

    Output shape:
        `(n, 48, 48, 1)` float32.
    """

    def call(
        self, faces: keras.KerasTensor, partner: keras.KerasTensor, weight: keras.KerasTensor
    ) -> keras.KerasTensor:
        """Return the blended faces."""
        weight = ops.reshape(weight, (-1, 1, 1, 1))
        return weight * faces + (1 - weight) * ops.take(faces, partner, axis=0)


class Distill(layers.Layer):
    """Add the distance from teachers to student on the same augmented faces as a loss, and pass the student through.

    "Function matching" (Beyer et al. 2022): teacher and student see the very same picture.

    Args:
        teachers: Trained encoders with the student's label sets; their weights are frozen.
        weight: Factor of the loss.
        temperature: Softening of both sides.

    Call arguments:
        outputs: The student's outputs, a dict as `build_encoder` gives.
        faces: `(n, 48, 48, 1)` float32, what the student saw.
    """

    def __init__(self, teachers: list[keras.Model], weight: float, temperature: float, **kwargs: object) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.teachers, self.weight, self.temperature = teachers, weight, temperature
        for teacher in teachers:
            teacher.trainable = False

    def call(self, outputs: dict[str, keras.KerasTensor], faces: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        """Return `outputs` as they are, after adding the loss."""
        lessons = [teacher(faces, training=False) for teacher in self.teachers]
        for label_set in sorted(outputs.keys() - {EMBEDDING}):
            taught = [lesson[label_set] for lesson in lessons if label_set in lesson]
            if taught:
                proba = sum(ops.softmax(logits / self.temperature, axis=-1) for logits in taught) / len(taught)
                loss = distillation(ops.stop_gradient(proba), outputs[label_set], self.temperature)
                self.add_loss(self.weight * ops.mean(loss))
        return dict(outputs)


def training_model(encoder: keras.Model, augment: layers.Layer, distill: Distill | None) -> keras.Model:
    """Wrap an encoder in what happens only in training: augmentation, mixing and teachers, all on the device.

    Args:
        encoder: What `build_encoder` gave.
        augment: Layer from faces to changed faces, active in training alone.
        distill: The teachers, if any.

    Returns:
        Model from `{"crops": (n, 48, 48) uint8, "partner": (n,) int32, "weight": (n,) float32}` to the encoder's dict.
    """
    crops = keras.Input((SIZE, SIZE), dtype="uint8", name="crops")
    partner = keras.Input((), dtype="int32", name="partner")
    weight = keras.Input((), dtype="float32", name="weight")
    faces = augment(ops.expand_dims(ops.cast(crops, "float32"), -1))
    faces = Mixup(dtype="float32", name="mixup")(faces, partner, weight)
    outputs = encoder(faces)
    if distill is not None:
        outputs = distill(outputs, faces)
    return keras.Model({"crops": crops, "partner": partner, "weight": weight}, outputs, name="training")
