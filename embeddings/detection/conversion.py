"""Convert CenterFace from ONNX to LiteRT, so that one runtime in the browser runs detector and encoder.

CenterFace consists of convolutions, transposed convolutions with batch normalization, additions, ReLU and one sigmoid.
Those are read from the ONNX file and written as a `.tflite` file; no TensorFlow and no ONNX package is needed. Arrays
are `(1, h, w, c)` instead of `(1, c, h, w)`.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import flatbuffers
import numpy as np

from moodspace.arrays import FloatArray
from moodspace.embeddings.detection.faces import DetectorError
from moodspace.embeddings.litert import DATA, SHAPE, Network, Place, vector_place

# The sides of the input must be multiples of this.
STRIDE = 32
# The side that the file is written with; the browser changes it to the frame's.
SIDE = 96

# Names in the ONNX file, and what they are called in the other: heat map, sizes, offsets, landmarks.
OUTPUTS = {"537": "heat", "538": "sizes", "539": "offsets", "540": "landmarks"}

_FLOAT, _HALF = 1, 10


@dataclass(frozen=True, slots=True)
class _Node:
    op: str
    inputs: list[str]
    output: str
    numbers: dict[str, list[int]]
    epsilon: float


@dataclass(slots=True)
class _Graph:
    nodes: list[_Node] = field(default_factory=list)
    weights: dict[str, FloatArray] = field(default_factory=dict)


def convert_centerface(onnx: Path) -> Network:
    """Return CenterFace as a `.tflite` file whose input size can be changed.

    Its input "pixels" is `(1, SIDE, SIDE, 3)` float32 RGB in [0, 255]; its outputs are those of `OUTPUTS`.

    Args:
        onnx: Its ONNX file.

    Raises:
        DetectorError: The file is missing or is another network.
    """
    try:
        graph = _read(onnx.read_bytes())
        return _Writer(graph).write()
    except OSError as error:
        raise DetectorError(
            f"detector model: expected CenterFace's ONNX file, got: {error.strerror}: {onnx}"
        ) from error
    except (KeyError, IndexError, ValueError, struct.error) as error:
        raise DetectorError(f"detector model: expected CenterFace's ONNX file, cannot convert {onnx}") from error


def _read(content: bytes) -> _Graph:
    graph = _Graph()
    (body,) = (value for number, value in _fields(content) if number == 7)
    for number, value in _fields(body):
        if number == 5:
            name, array = _tensor(value)
            graph.weights[name] = array
        elif number == 1:
            node = _node(value)
            if node.op == "Cast":
                graph.weights[node.output] = graph.weights.get(node.inputs[0], np.zeros(0, np.float32))
            graph.nodes.append(node)
    for node in graph.nodes:
        if node.op == "Cast":
            graph.weights[node.output] = graph.weights[node.inputs[0]]
    return graph


def _node(content: bytes) -> _Node:
    inputs, output, op, numbers, epsilon = [], "", "", {}, 0.0
    for number, value in _fields(content):
        if number == 1:
            inputs.append(value.decode())
        elif number == 2:
            output = value.decode()
        elif number == 4:
            op = value.decode()
        elif number == 5:
            parts = list(_fields(value))
            name = next(part.decode() for kind, part in parts if kind == 1)
            numbers[name] = [int(part) for kind, part in parts if kind in (3, 8) and isinstance(part, int)]
            if name == "epsilon":
                epsilon = struct.unpack("<f", next(part for kind, part in parts if kind == 2))[0]
    return _Node(op, inputs, output, numbers, epsilon)


def _tensor(content: bytes) -> tuple[str, FloatArray]:
    parts = list(_fields(content))
    shape = [value for number, value in parts if number == 1]
    kind = next(value for number, value in parts if number == 2)
    name = next(value.decode() for number, value in parts if number == 8)
    # The values are in field 9, or as floats in field 4.
    raw = b"".join(value for number, value in parts if number in (4, 9))
    if kind not in (_FLOAT, _HALF):
        return name, np.zeros(0, np.float32)
    values = np.frombuffer(raw, np.float16 if kind == _HALF else np.float32)
    return name, values.astype(np.float32).reshape(shape)


def _fields(content: bytes) -> Iterator[tuple[int, Any]]:
    """Yield the field numbers and values of a protocol buffer message."""
    at = 0
    while at < len(content):
        key, at = _varint(content, at)
        number, kind = key >> 3, key & 7
        if kind == 0:
            value, at = _varint(content, at)
            yield number, value
            continue
        if kind == 2:
            size, at = _varint(content, at)
        else:
            size = {1: 8, 5: 4}[kind]
        yield number, content[at : at + size]
        at += size


def _varint(content: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        byte = content[at]
        at += 1
        value |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            return value, at


class _Writer:
    """Write a graph as a `.tflite` file."""

    def __init__(self, graph: _Graph) -> None:
        # Imported here, because the module is large.
        from ai_edge_litert import schema_py_generated as schema

        self._graph, self._schema = graph, schema
        self._tensors: list[Any] = []
        self._operators: list[Any] = []
        self._codes: list[int] = []
        self._buffers = [schema.BufferT()]
        # The tensor of each ONNX name, and its number of channels and stride.
        self._known: dict[str, tuple[int, int, int]] = {}
        # The stride of tensors whose shape depends on the input's, and how many pixels are added to their sides.
        self._sides: dict[int, tuple[int, int]] = {}
        # The same for constants that hold a shape.
        self._shapes: dict[int, int] = {}

    def write(self) -> Network:
        """Return the file."""
        schema = self._schema
        nodes = [node for node in self._graph.nodes if node.op != "Cast"]
        source = next(name for name in nodes[0].inputs if name not in self._graph.weights)
        self._known[source] = (self._activation("pixels", 3, 1), 3, 1)
        start = self._known[source][0]
        position = 0
        while position < len(nodes):
            node = nodes[position]
            # A ReLU or batch normalization that follows is folded into the operator.
            followers: list[_Node] = []
            while position + 1 < len(nodes) and nodes[position + 1].op in ("Relu", "BatchNormalization"):
                if nodes[position + 1].inputs[0] != (followers[-1] if followers else node).output:
                    break
                position += 1
                followers.append(nodes[position])
            self._add(node, followers)
            position += 1
        graph = schema.SubGraphT()
        graph.tensors, graph.operators, graph.name = self._tensors, self._operators, "main"
        graph.inputs, graph.outputs = [start], [self._known[name][0] for name in OUTPUTS]
        model = schema.ModelT()
        model.version, model.description, model.buffers, model.subgraphs = 3, "CenterFace", self._buffers, [graph]
        model.operatorCodes = []
        for code in self._codes:
            entry = schema.OperatorCodeT()
            entry.builtinCode, entry.deprecatedBuiltinCode = code, min(code, 127)
            # A transposed convolution may have a bias since version 3.
            entry.version = 3 if code == schema.BuiltinOperator.TRANSPOSE_CONV else 1
            model.operatorCodes.append(entry)
        model.signatureDefs = [self._signature(start)]
        builder = flatbuffers.Builder(1 << 22)
        builder.Finish(model.Pack(builder), b"TFL3")
        content = bytes(builder.Output())
        return Network(content, {"height": self._places(content, 1), "width": self._places(content, 2)})

    def _places(self, content: bytes, axis: int) -> list[Place]:
        """Return where the file holds sizes along an axis of the arrays."""
        model = self._schema.Model.GetRootAs(content, 0)
        graph = model.Subgraphs(0)
        places = []
        for number, (stride, more) in self._sides.items():
            places.append((vector_place(graph.Tensors(number), SHAPE) + 4 * axis, stride, more))
        for number, stride in self._shapes.items():
            buffer = model.Buffers(graph.Tensors(number).Buffer())
            places.append((vector_place(buffer, DATA) + 4 * axis, stride, 0))
        return places

    def _signature(self, start: int) -> Any:
        schema = self._schema
        signature = schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = "serving_default", 0

        def entry(name: str, tensor: int) -> Any:
            made = schema.TensorMapT()
            made.name, made.tensorIndex = name, tensor
            return made

        signature.inputs = [entry("pixels", start)]
        signature.outputs = [entry(name, self._known[old][0]) for old, name in OUTPUTS.items()]
        return signature

    def _add(self, node: _Node, followers: list[_Node]) -> None:
        end = (followers or [node])[-1].output
        relu = any(one.op == "Relu" for one in followers)
        if node.op == "Conv":
            self._convolution(node, end, relu)
        elif node.op == "ConvTranspose":
            self._transposed(node, followers, end, relu)
        elif node.op == "Add":
            self._sum(node, end, relu)
        elif node.op == "Sigmoid":
            tensor, channels, stride = self._known[node.inputs[0]]
            out = self._result(end, channels, stride)
            self._operator(self._schema.BuiltinOperator.LOGISTIC, [tensor], out, 0, None)
        else:
            raise ValueError(f"expected the operators of CenterFace, got {node.op}")

    def _convolution(self, node: _Node, end: str, relu: bool) -> None:
        schema = self._schema
        tensor, channels, stride = self._known[node.inputs[0]]
        weights, bias = self._graph.weights[node.inputs[1]], self._graph.weights[node.inputs[2]]
        step, pad, group = node.numbers["strides"][0], node.numbers["pads"][0], node.numbers["group"][0]
        size = weights.shape[2]
        if pad and step > 1:
            # LiteRT would pad only at the end where the step is 2.
            tensor = self._padded(tensor, channels, stride, pad)
        padding = schema.Padding.SAME if pad and step == 1 else schema.Padding.VALID
        if pad not in (0, size // 2) or group not in (1, channels):
            raise ValueError("expected the convolutions of CenterFace")
        activation = schema.ActivationFunctionType.RELU if relu else schema.ActivationFunctionType.NONE
        out = self._result(end, len(weights), stride * step)
        if group == 1:
            options = schema.Conv2DOptionsT()
            kind, code = schema.BuiltinOptions.Conv2DOptions, schema.BuiltinOperator.CONV_2D
            kernel = self._constant(weights.transpose(0, 2, 3, 1))
        else:
            options = schema.DepthwiseConv2DOptionsT()
            kind, code = schema.BuiltinOptions.DepthwiseConv2DOptions, schema.BuiltinOperator.DEPTHWISE_CONV_2D
            kernel = self._constant(weights.transpose(1, 2, 3, 0))
            options.depthMultiplier = 1
        options.padding, options.strideH, options.strideW = padding, step, step
        options.fusedActivationFunction, options.dilationHFactor, options.dilationWFactor = activation, 1, 1
        self._operator(code, [tensor, kernel, self._constant(bias)], out, kind, options)

    def _transposed(self, node: _Node, followers: list[_Node], end: str, relu: bool) -> None:
        schema = self._schema
        tensor, _, stride = self._known[node.inputs[0]]
        weights = self._graph.weights[node.inputs[1]]
        step = node.numbers["strides"][0]
        if not (step == weights.shape[2] == weights.shape[3] == 2) or any(node.numbers["pads"]):
            raise ValueError("expected the transposed convolutions of CenterFace")
        norm = next(one for one in followers if one.op == "BatchNormalization")
        scale, shift, mean, variance = (self._graph.weights[name] for name in norm.inputs[1:])
        factor = scale / np.sqrt(variance + norm.epsilon)
        weights = weights * factor[None, :, None, None]
        channels = weights.shape[1]
        out = self._result(end, channels, stride // step)
        side = SIDE // (stride // step)
        shape = self._constant(np.array([1, side, side, channels], np.int32))
        self._shapes[shape] = stride // step
        options = schema.TransposeConvOptionsT()
        options.padding, options.strideH, options.strideW = schema.Padding.VALID, step, step
        options.fusedActivationFunction = (
            schema.ActivationFunctionType.RELU if relu else schema.ActivationFunctionType.NONE
        )
        inputs = [shape, self._constant(weights.transpose(1, 2, 3, 0)), tensor, self._constant(shift - mean * factor)]
        self._operator(
            schema.BuiltinOperator.TRANSPOSE_CONV, inputs, out, schema.BuiltinOptions.TransposeConvOptions, options
        )

    def _sum(self, node: _Node, end: str, relu: bool) -> None:
        schema = self._schema
        (first, channels, stride), (second, *_) = (self._known[name] for name in node.inputs)
        options = schema.AddOptionsT()
        options.fusedActivationFunction = (
            schema.ActivationFunctionType.RELU if relu else schema.ActivationFunctionType.NONE
        )
        out = self._result(end, channels, stride)
        self._operator(schema.BuiltinOperator.ADD, [first, second], out, schema.BuiltinOptions.AddOptions, options)

    def _padded(self, tensor: int, channels: int, stride: int, pad: int) -> int:
        schema = self._schema
        amounts = self._constant(np.array([[0, 0], [pad, pad], [pad, pad], [0, 0]], np.int32))
        out = self._activation(f"padded/{len(self._tensors)}", channels, stride, 2 * pad)
        self._operator(schema.BuiltinOperator.PAD, [tensor, amounts], out, 0, None)
        return out

    def _result(self, name: str, channels: int, stride: int) -> int:
        tensor = self._activation(OUTPUTS.get(name, name), channels, stride)
        self._known[name] = (tensor, channels, stride)
        return tensor

    def _activation(self, name: str, channels: int, stride: int, more: int = 0) -> int:
        side = SIDE // stride + more
        tensor = self._new(name, self._schema.TensorType.FLOAT32, [1, side, side, channels], 0)
        self._sides[tensor] = (stride, more)
        return tensor

    def _constant(self, values: Any) -> int:
        schema = self._schema
        types = {"float32": schema.TensorType.FLOAT32, "int32": schema.TensorType.INT32}
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(np.ascontiguousarray(values).tobytes(), np.uint8)
        self._buffers.append(buffer)
        return self._new(
            f"constant/{len(self._tensors)}", types[values.dtype.name], list(values.shape), len(self._buffers) - 1
        )

    def _new(self, name: str, kind: int, shape: list[int], buffer: int) -> int:
        tensor = self._schema.TensorT()
        tensor.name, tensor.type, tensor.shape, tensor.buffer = name, kind, shape, buffer
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def _operator(self, code: int, inputs: list[int], output: int, kind: int, options: Any) -> None:
        if code not in self._codes:
            self._codes.append(code)
        made = self._schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = self._codes.index(code), inputs, [output]
        made.builtinOptionsType, made.builtinOptions = kind, options
        self._operators.append(made)
