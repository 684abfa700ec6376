"""The backbones: from a `(48, 48, 1)` grey face, 0 to 255, to a vector of features.

Only `keras.layers`, so that the same code trains on TensorFlow or JAX.
"""

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
from keras import layers

from embeddings.crops import SIZE


def _face_input() -> keras.KerasTensor:
    return keras.Input((SIZE, SIZE, 1), name="crops")


def mobilenet_v2(
    init: str | Path | None = "imagenet", *, pixels: int = 96, dense_map: bool = True, dropout: float = 0.2
) -> keras.Model:
    """MobileNetV2 1.0 (Sandler et al. 2018) that sees one grey channel.

    A grey picture repeated over RGB meets the stem as the sum of its three kernels, so the ImageNet stem is summed
    over its input channels: the same function with a third of the work.

    Args:
        init: "imagenet" (fetched by Keras), a Keras `.weights.h5` of `MobileNetV2(include_top=False)`, or None for
            random weights.
        pixels: Side that the 48-pixel face is resized to inside the network.
        dense_map: Keep the last stage's stride at 1, so that the last map of a 96-pixel input is 6x6 and not 3x3.
        dropout: Dropout on the pooled features.

    Returns:
        Model from `(n, 48, 48, 1)` float32 in 0..255 to `(n, 1280)` features.

    Raises:
        ValueError: `init` names a file that does not exist or holds other weights, or the weights cannot be fetched.
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
        raise ValueError(f"init: expected 'imagenet', 'none' or a Keras weights file, got {init}, which is no file.")
    # 224 is the one size whose weights Keras ships under the plain name; a convolution's weights fit every size.
    try:
        return keras.applications.MobileNetV2(input_shape=(224, 224, 3), include_top=False, weights=str(init))
    except Exception as error:  # Keras raises a bare one where it cannot fetch
        wanted = "ImageNet's weights to be fetched" if init == "imagenet" else f"weights of MobileNetV2 in {init}"
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
    """The original course project's network: four convolutions and two fully connected layers.

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
    """A plain network at 48 pixels: 64-128-256-512 filters, two convolutions each (Khaireddin and Chen 2021).

    Too slow for live faces; it teaches.

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
    """ResNet18 with squeeze-and-excitation (Hu et al. 2018) and an unstrided stem, for 48 pixels. It teaches.

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
