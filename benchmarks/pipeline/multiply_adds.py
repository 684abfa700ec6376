"""Count the multiply-adds of a LiteRT network, and write one that is a product of 8-bit matrices alone."""

from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


def multiply_adds(content: bytes) -> int:
    """Return the multiply-adds of one call: those of convolutions and fully connected layers.

    Args:
        content: The `.tflite` file, for the batch size and the input size that count.
    """
    model = schema.ModelT.InitFromPackedBuf(content, 0)
    graph = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    known = schema.BuiltinOperator
    total = 0
    for operator in graph.operators:
        code = codes[operator.opcodeIndex]
        if code not in (known.CONV_2D, known.DEPTHWISE_CONV_2D, known.TRANSPOSE_CONV, known.FULLY_CONNECTED):
            continue
        out = int(np.prod(np.abs(graph.tensors[operator.outputs[0]].shape)))
        kernel = graph.tensors[operator.inputs[1]].shape
        if code == known.CONV_2D:
            each = int(np.prod(kernel[1:]))
        elif code == known.DEPTHWISE_CONV_2D:
            each = int(np.prod(kernel[1:3]))
        elif code == known.TRANSPOSE_CONV:
            # With a step of the kernel's side each output is reached by one position.
            each = int(kernel[3])
        else:
            each = int(kernel[1])
        total += out * each
    return total


def int8_product(rows: int, inner: int, columns: int) -> bytes:
    """Return a network that multiplies `(rows, inner)` by a constant `(inner, columns)`, 8-bit integers all.

    Args:
        rows: Rows of its input.
        inner: Columns of its input.
        columns: Columns of its output.
    """
    weights = np.random.default_rng(0).integers(-127, 128, (columns, inner), np.int8)
    buffers = [schema.BufferT(), schema.BufferT()]
    buffers[1].data = weights.view(np.uint8).reshape(-1)
    tensors = [
        _tensor("input", [rows, inner], 0, 1 / 128),
        _tensor("weights", [columns, inner], 1, 1 / 128),
        _tensor("output", [rows, columns], 0, 1.0),
    ]
    layer, options = schema.OperatorT(), schema.FullyConnectedOptionsT()
    layer.opcodeIndex, layer.inputs, layer.outputs = 0, [0, 1, -1], [2]
    layer.builtinOptionsType, layer.builtinOptions = schema.BuiltinOptions.FullyConnectedOptions, options
    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.FULLY_CONNECTED
    code.version = 4
    graph, model = schema.SubGraphT(), schema.ModelT()
    graph.tensors, graph.operators, graph.inputs, graph.outputs = tensors, [layer], [0], [2]
    model.version, model.buffers, model.operatorCodes, model.subgraphs = 3, buffers, [code], [graph]
    builder = flatbuffers.Builder(2 * weights.nbytes)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(name: str, shape: list[int], buffer: int, scale: float) -> Any:
    tensor, quantization = schema.TensorT(), schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = [scale], [0]
    tensor.name, tensor.shape, tensor.buffer, tensor.type = name, shape, buffer, schema.TensorType.INT8
    tensor.quantization = quantization
    return tensor
