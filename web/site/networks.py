"""Prepare networks for the browser: constants that it can use as they are, sizes that it can change, a small download.

LiteRT's web runtime computes a layer fast only where its weights are constants of the file, and it takes no file with a
free batch size. So 16-bit weights are expanded, and the places of the file that hold the batch size are listed. For the
download, weights that fit into 16 bits are packed again.
"""

from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np

from moodspace.embeddings.litert import DATA, SHAPE, SIGNATURE, Network, vector_place

# Constants with fewer values are not packed.
_LEAST_PACKED = 256


@dataclass(frozen=True, slots=True)
class Packed:
    """A file in fewer bytes.

    Attributes:
        content: The packed bytes.
        segments: What they are, in order: the number of values, and whether each is a 16-bit float that stands for a
            32-bit one, instead of a byte that stands for itself.
    """

    content: bytes
    segments: list[tuple[int, bool]]

    def unpacked(self) -> bytes:
        """Return the file, as the browser does."""
        parts, at = [], 0
        for count, halves in self.segments:
            size = 2 * count if halves else count
            part = self.content[at : at + size]
            parts.append(np.frombuffer(part, np.float16).astype(np.float32).tobytes() if halves else part)
            at += size
        return b"".join(parts)


def prepare_encoder(content: bytes) -> Network:
    """Return an exported network with constant 32-bit weights, whose batch size can be changed.

    Args:
        content: The `.tflite` file, with one input, whose first axis is the batch.
    """
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromPackedBuf(content, 0)
    _expand_halves(model, schema)
    builder = flatbuffers.Builder(2 * len(content))
    builder.Finish(model.Pack(builder), b"TFL3")
    content = bytes(builder.Output())
    graph = schema.Model.GetRootAs(content, 0).Subgraphs(0)
    reached = {graph.Inputs(number) for number in range(graph.InputsLength())}
    for number in range(graph.OperatorsLength()):
        operator = graph.Operators(number)
        if any(operator.Inputs(at) in reached for at in range(operator.InputsLength())):
            reached |= {operator.Outputs(at) for at in range(operator.OutputsLength())}
    places = [
        (vector_place(graph.Tensors(tensor), table_field), 1, 0)
        for tensor in sorted(reached)
        for table_field in (SHAPE, SIGNATURE)
        if graph.Tensors(tensor).ShapeLength() and vector_place(graph.Tensors(tensor), table_field)
    ]
    network = Network(content, {"batch": places})
    return Network(network.resized(batch=1), network.places)


def _expand_halves(model: Any, schema: Any) -> None:
    """Replace 16-bit constants that an operator expands by 32-bit constants, in place."""
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    for graph in model.subgraphs:
        kept = []
        for operator in graph.operators:
            if codes[operator.opcodeIndex] != schema.BuiltinOperator.DEQUANTIZE:
                kept.append(operator)
                continue
            source = graph.tensors[operator.inputs[0]]
            if source.type != schema.TensorType.FLOAT16 or model.buffers[source.buffer].data is None:
                kept.append(operator)
                continue
            target = graph.tensors[operator.outputs[0]]
            halves = np.asarray(model.buffers[source.buffer].data, np.uint8).view(np.float16)
            buffer = schema.BufferT()
            buffer.data = halves.astype(np.float32).view(np.uint8)
            target.buffer = len(model.buffers)
            model.buffers.append(buffer)
        graph.operators = kept
        used = {int(tensor) for operator in kept for tensor in operator.inputs}
        for number, tensor in enumerate(graph.tensors):
            if tensor.type == schema.TensorType.FLOAT16 and number not in used:
                model.buffers[tensor.buffer].data, tensor.buffer = None, 0


def pack(content: bytes) -> Packed:
    """Pack a `.tflite` file: weights that 16-bit floats represent exactly take half the bytes."""
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    floats: dict[int, int] = {}
    for at in range(model.SubgraphsLength()):
        graph = model.Subgraphs(at)
        for number in range(graph.TensorsLength()):
            tensor = graph.Tensors(number)
            buffer = model.Buffers(tensor.Buffer())
            if tensor.Type() == schema.TensorType.FLOAT32 and buffer.DataLength() >= 4 * _LEAST_PACKED:
                floats[vector_place(buffer, DATA)] = buffer.DataLength() // 4
    parts: list[bytes] = []
    segments: list[tuple[int, bool]] = []
    end = 0
    for offset, count in sorted(floats.items()):
        values = np.frombuffer(content, np.float32, count, offset)
        with np.errstate(over="ignore"):
            halves = values.astype(np.float16)
        if np.array_equal(halves.astype(np.float32), values):
            parts += [content[end:offset], halves.tobytes()]
            segments += [(offset - end, False), (count, True)]
            end = offset + 4 * count
    parts.append(content[end:])
    segments.append((len(content) - end, False))
    return Packed(b"".join(parts), segments)
