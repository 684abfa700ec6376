"""The package `deepface` on ONNX Runtime, for its speed alone: the package has no weights, and nothing is downloaded.

The graph has the layers of its emotion model, as `deepface/models/demography/tf/Emotion.py` lists them, and random
weights.
"""

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

import numpy as np
from common import run

home = Path(sys.argv[3])
os.environ["DEEPFACE_HOME"] = str(home)
CLASSES = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]


def write_graph(path: Path) -> None:
    """Write the layers with random weights as an ONNX graph of channels-last input."""
    sys.path.insert(0, f"{home}-tools")
    from onnx import TensorProto, helper, numpy_helper, save

    rng = np.random.default_rng(0)
    nodes, weights = [helper.make_node("Transpose", ["input"], ["x0"], perm=[0, 3, 1, 2])], []
    last = "x0"

    def add(kind: str, *, relu: bool = False, shape: tuple[int, ...] = (), **attributes: object) -> None:
        nonlocal last
        name, inputs = f"x{len(nodes)}", [last]
        if shape:
            for suffix, size in (("w", shape), ("b", shape[-1:] if kind == "Gemm" else shape[:1])):
                value = rng.normal(0, 0.05, size).astype(np.float32)
                weights.append(numpy_helper.from_array(value, f"{name}{suffix}"))
                inputs.append(f"{name}{suffix}")
        nodes.append(helper.make_node(kind, inputs, [name], **attributes))
        last = name
        if relu:
            nodes.append(helper.make_node("Relu", [name], [f"{name}r"]))
            last = f"{name}r"

    add("Conv", shape=(64, 1, 5, 5), relu=True)
    add("MaxPool", kernel_shape=[5, 5], strides=[2, 2])
    add("Conv", shape=(64, 64, 3, 3), relu=True)
    add("Conv", shape=(64, 64, 3, 3), relu=True)
    add("AveragePool", kernel_shape=[3, 3], strides=[2, 2])
    add("Conv", shape=(128, 64, 3, 3), relu=True)
    add("Conv", shape=(128, 128, 3, 3), relu=True)
    add("AveragePool", kernel_shape=[3, 3], strides=[2, 2])
    add("Flatten")
    add("Gemm", shape=(128, 1024), relu=True)
    add("Gemm", shape=(1024, 1024), relu=True)
    add("Gemm", shape=(1024, 7))
    add("Softmax", axis=1)
    tensor = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "emotion",
        [tensor("input", TensorProto.FLOAT, ["n", 48, 48, 1])],
        [tensor(last, TensorProto.FLOAT, ["n", 7])],
        weights,
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)


weights_file = home / ".deepface" / "weights" / "facial_expression_model_weights.onnx"
if sys.argv[1] == "graph":
    write_graph(weights_file)
    sys.exit()
if not weights_file.exists():
    # In a process of its own, so that the memory of this one is that of the package.
    subprocess.run([sys.executable, __file__, "graph", "", str(home)], check=True, timeout=120)

from deepface import DeepFace  # noqa: E402
from deepface.models.demography.onnx.Emotion import EmotionClient  # noqa: E402

client = EmotionClient()


def predict(crops: np.ndarray) -> np.ndarray:
    """Label crops as `analyze` does after it has resized them to 224x224."""
    import cv2

    faces = np.stack([cv2.resize(cv2.cvtColor(crop, cv2.COLOR_GRAY2BGR), (224, 224)) for crop in crops])
    return np.reshape(client.predict(faces), (-1, 7))


def detect(rgb: np.ndarray) -> int:
    """Find and label the faces of a frame, with the default detector."""
    found = DeepFace.analyze(
        np.ascontiguousarray(rgb[..., ::-1]), actions=("emotion",), enforce_detection=False, silent=True
    )
    return len(found)


run(predict, detect, CLASSES, version("deepface"))
