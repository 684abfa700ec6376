"""Run `.tflite` networks in tests."""

import numpy as np


def run(content: bytes, **inputs: np.ndarray) -> dict[str, np.ndarray]:
    """Return the outputs of the content of a `.tflite` file by their names."""
    from ai_edge_litert.interpreter import Interpreter

    interpreter = Interpreter(model_content=content)
    interpreter.allocate_tensors()
    return dict(interpreter.get_signature_runner()(**inputs))
