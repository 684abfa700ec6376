"""The encoder: a backbone, an embedding of unit length, and a classification head for each label set."""

from collections.abc import Callable, Mapping
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from moodspace.embeddings.crops import SIZE
from moodspace.embeddings.encoder import EMBEDDING
from moodspace.embeddings.training.losses import distillation


def _face_input() -> keras.KerasTensor:
    return keras.Input((SIZE, SIZE, 1), name="crops")


def mobilenet_v2(
    init: str | Path | None = "imagenet", *, pixels: int = 96, dense_map: bool = True, dropout: float = 0.2
) -> keras.Model:
    """Build MobileNetV2 1.0 (Sandler et al. 2018) for one gray channel.

    The ImageNet stem is summed over its input channels, which gives the same features as a gray picture repeated over
    RGB, with a third of the work.

    Args:
        init: "imagenet" (downloaded by Keras), a Keras `.weights.h5` of `MobileNetV2(include_top=False)`, or None for
            random weights.
        pixels: Side that the 48-pixel face is resized to inside the network.
        dense_map: Set the stride of the last stage to 1, so that the last map of a 96-pixel input is 6x6 instead of
            3x3.
        dropout: Dropout on the pooled features.

    Returns:
        Model from `(n, 48, 48, 1)` float32 in 0..255 to `(n, 1280)` features.

    Raises:
        ValueError: The file `init` does not exist or has other weights, or the weights cannot be downloaded.
    """
    shape = (pixels, pixels, 1)
    body = keras.applications.MobileNetV2(input_shape=shape, include_top=False, weights=None)
    if dense_map:
        body = keras.models.clone_model(body, clone_function=_without_last_stride)
    if init is not None:
        _copy_rgb_weights(_imagenet(init), body)
    faces = _face_input()
    x = layers.Resizing(pixels, pixels)(faces) if pixels != SIZE else faces
    x = layers.Rescaling(1 / 127.5, -1)(x)
    x = layers.GlobalAveragePooling2D()(body(x))
    return keras.Model(faces, layers.Dropout(dropout)(x), name="mobilenet_v2")


def _imagenet(init: str | Path) -> keras.Model:
    if init != "imagenet" and not Path(init).is_file():
        raise ValueError(f"init: expected 'imagenet', 'none' or a Keras weights file, got no such file: {init}.")
    # Keras ships the weights for 224 pixels under the plain name; the weights of convolutions fit every size.
    try:
        return keras.applications.MobileNetV2(input_shape=(224, 224, 3), include_top=False, weights=str(init))
    except Exception as error:  # Keras raises a bare Exception if a download fails
        wanted = "a download of the ImageNet weights" if init == "imagenet" else f"weights of MobileNetV2 in {init}"
        reason = " ".join(str(error).split())[:200]
        raise ValueError(f"init: expected {wanted}, got: {reason}; name a Keras weights file or 'none'.") from error


def _without_last_stride(layer: layers.Layer) -> layers.Layer:
    config = layer.get_config()
    if layer.name == "block_13_depthwise":
        config |= {"strides": (1, 1), "padding": "same"}
    if layer.name == "block_13_pad":
        config |= {"padding": ((0, 0), (0, 0))}
    return layer.__class__.from_config(config)


def _copy_rgb_weights(source: keras.Model, target: keras.Model) -> None:
    for layer in target.layers:
        weights = source.get_layer(layer.name).get_weights() if layer.weights else []
        if layer.name == "Conv1":
            weights = [np.sum(weights[0], axis=2, keepdims=True)]
        if weights:
            layer.set_weights(weights)


def cnn() -> keras.Model:
    """Build the network of the original course project: four convolutions and two fully connected layers.

    Returns:
        Model from `(n, 48, 48, 1)` float32 in 0..255 to `(n, 512)` features.
    """
    faces = _face_input()
    x = layers.Rescaling(1 / 255)(faces)
    for filters, kernel in ((64, 3), (128, 5), (512, 3), (512, 3)):
        x = layers.Conv2D(filters, kernel, padding="same")(x)
        x = layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x))
        x = layers.Dropout(0.25)(layers.MaxPooling2D()(x))
    x = layers.Flatten()(x)
    for units in (256, 512):
        x = layers.Dense(units)(x)
        x = layers.Dropout(0.25)(layers.Activation("relu")(layers.BatchNormalization(momentum=0.9)(x)))
    return keras.Model(faces, x, name="cnn")


def _conv(x: keras.KerasTensor, filters: int, kernel: int = 3, strides: int = 1) -> keras.KerasTensor:
    x = layers.Conv2D(filters, kernel, strides, padding="same", use_bias=False, kernel_initializer="he_normal")(x)
    return layers.BatchNormalization(momentum=0.95)(x)


def vgg() -> keras.Model:
    """Build a plain network at 48 pixels: 64-128-256-512 filters, two convolutions each (Khaireddin and Chen 2021).

    A teacher for distillation; too slow for live faces.

    Returns:
        Model from `(n, 48, 48, 1)` float32 in 0..255 to `(n, 512)` features.
    """
    faces = _face_input()
    x = layers.Rescaling(1 / 127.5, -1)(faces)
    for filters in (64, 128, 256, 512):
        for _ in range(2):
            x = layers.Activation("relu")(_conv(x, filters))
        x = layers.MaxPooling2D()(x)
    x = layers.Flatten()(x)
    x = layers.Dropout(0.4)(layers.Dense(512, activation="relu")(x))
    return keras.Model(faces, x, name="vgg")


def _squeeze_excite(x: keras.KerasTensor, filters: int) -> keras.KerasTensor:
    gate = layers.GlobalAveragePooling2D(keepdims=True)(x)
    gate = layers.Dense(filters // 16, activation="relu")(gate)
    return layers.Multiply()([x, layers.Dense(filters, activation="sigmoid")(gate)])


def resnet_se() -> keras.Model:
    """Build ResNet18 with squeeze-and-excitation (Hu et al. 2018) and an unstrided stem, for 48 pixels.

    A teacher for distillation.

    Returns:
        Model from `(n, 48, 48, 1)` float32 in 0..255 to `(n, 512)` features.
    """
    faces = _face_input()
    x = layers.Activation("relu")(_conv(layers.Rescaling(1 / 127.5, -1)(faces), 64))
    for stage, filters in enumerate((64, 128, 256, 512)):
        for block in range(2):
            strides = 2 if stage > 0 and block == 0 else 1
            short = x if strides == 1 else _conv(x, filters, 1, strides)
            x = _conv(layers.Activation("relu")(_conv(x, filters, 3, strides)), filters)
            x = layers.Activation("relu")(layers.Add()([_squeeze_excite(x, filters), short]))
    x = layers.Dropout(0.3)(layers.GlobalAveragePooling2D()(x))
    return keras.Model(faces, x, name="resnet_se")


BACKBONES: dict[str, Callable[..., keras.Model]] = {
    "mobilenet_v2": mobilenet_v2,
    "cnn": cnn,
    "vgg": vgg,
    "resnet_se": resnet_se,
}


@keras.saving.register_keras_serializable(package="moodspace")
class UnitLength(layers.Layer):
    """Divide each row by its L2 norm.

    Call arguments:
        x: `(n, d)` float.

    Output shape:
        `(n, d)` float32, rows L2-normalized.
    """

    def call(self, x: keras.KerasTensor) -> keras.KerasTensor:
        """Return the rows scaled to unit length."""
        # The floor is under the root, because the gradient of the root is infinite for a row of zeros.
        return x * ops.rsqrt(ops.maximum(ops.sum(ops.square(x), axis=-1, keepdims=True), 1e-12))


def build_encoder(backbone: keras.Model, classes: Mapping[str, tuple[str, ...]], *, dim: int = 128) -> keras.Model:
    """Add an embedding and a softmax head for each label set to a backbone.

    The heads read the embedding before it is scaled to unit length, so that the directions that separate classes for
    softmax also separate them by cosine. Batch normalization removes the mean direction that all faces share, which
    would bring all cosine similarities close to 1 (Luo et al. 2019, BNNeck).

    Args:
        backbone: Model from `(n, 48, 48, 1)` float32, gray, 0 to 255, to `(n, f)` features.
        classes: Class names of each label set, in column order.
        dim: Length of the embedding.

    Returns:
        Model from `(n, 48, 48, 1)` to a dict: `embedding` `(n, dim)` float32, rows L2-normalized, and for each label
        set `(n, C)` float32 logits under its name.

    Raises:
        ValueError: A label set has the reserved name "embedding", or there are no label sets.
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
    """Blend each face with another of its batch (Zhang et al. 2018). `fit.Batches` blends the targets.

    Call arguments:
        faces: `(n, 48, 48, 1)` float32.
        partner: `(n,)` int32, row of the other face.
        weight: `(n,)` float32 in [0, 1], share of the face itself.

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
    """Add a distillation loss between teachers and student, and return the student's outputs unchanged.

    "Function matching" (Beyer et al. 2022): teachers and student see the same augmented faces.

    Args:
        teachers: Trained encoders with the student's label sets; their weights are frozen.
        weight: Factor of the loss.
        temperature: Softmax temperature of teachers and student.

    Call arguments:
        outputs: The student's outputs, a dict as from `build_encoder`.
        faces: `(n, 48, 48, 1)` float32, the student's input.
    """

    def __init__(self, teachers: list[keras.Model], weight: float, temperature: float, **kwargs: object) -> None:
        super().__init__(dtype="float32", **kwargs)
        self.teachers, self.weight, self.temperature = teachers, weight, temperature
        for teacher in teachers:
            teacher.trainable = False

    def call(self, outputs: dict[str, keras.KerasTensor], faces: keras.KerasTensor) -> dict[str, keras.KerasTensor]:
        """Add the loss and return `outputs` unchanged."""
        predictions = [teacher(faces, training=False) for teacher in self.teachers]
        for label_set in sorted(outputs.keys() - {EMBEDDING}):
            logits_of = [one[label_set] for one in predictions if label_set in one]
            if logits_of:
                proba = sum(ops.softmax(logits / self.temperature, axis=-1) for logits in logits_of) / len(logits_of)
                loss = distillation(ops.stop_gradient(proba), outputs[label_set], self.temperature)
                self.add_loss(self.weight * ops.mean(loss))
        return dict(outputs)


def training_model(encoder: keras.Model, augment: layers.Layer, distill: Distill | None) -> keras.Model:
    """Wrap an encoder for training: augmentation, mixup and distillation, all on the device.

    Args:
        encoder: A network from `build_encoder`.
        augment: Layer that changes faces in training.
        distill: Layer that adds the loss against teachers, if any.

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
