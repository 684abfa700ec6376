"""How large a network is: its weights, and the multiply-adds of one face."""

from pathlib import Path
from typing import Any, NamedTuple

import numpy as np


class NetworkSize(NamedTuple):
    """The size of a network.

    Attributes:
        weights: Weights of its convolutions and dense layers.
        multiply_adds: Multiply-adds of them for one face.
    """

    weights: int
    multiply_adds: int


def network_size(path: Path) -> NetworkSize:
    """Count the weights and multiply-adds of a TensorFlow Lite network from the shapes of its operations.

    Raises:
        ValueError: It is not such a file.
    """
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    shapes = {one["index"]: [int(size) for size in one["shape"]] for one in interpreter.get_tensor_details()}
    weights = multiply_adds = 0
    for operation in interpreter._get_ops_details():
        name = operation["op_name"]
        if name not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"):
            continue
        kernel, made = shapes[operation["inputs"][1]], shapes[operation["outputs"][0]]
        # A kernel is (channels, h, w, inputs), a depthwise one (1, h, w, channels), a dense one (outputs, inputs).
        once = {"CONV_2D": kernel[1:], "DEPTHWISE_CONV_2D": kernel[1:3], "FULLY_CONNECTED": kernel[1:]}[name]
        weights += int(np.prod(kernel))
        multiply_adds += int(np.prod(made)) * int(np.prod(once))
    return NetworkSize(weights, multiply_adds)


def network_figures(peer: dict[str, Any], environment: Path) -> dict[str, float]:
    """Return the size of a package's expression network: MB, weights, multiply-adds of a face; what is known of them.

    `peers.toml` states weights and multiply-adds of networks that are in another format than TensorFlow Lite.
    """
    figures: dict[str, float] = {name: peer[name] for name in ("weights", "multiply_adds") if name in peer}
    found = sorted(environment.glob(peer["network"])) if "network" in peer else []
    if found:
        figures["network_mb"] = round(found[0].stat().st_size / 1e6, 2)
        if found[0].suffix == ".tflite":
            figures |= network_size(found[0])._asdict()
    return figures
