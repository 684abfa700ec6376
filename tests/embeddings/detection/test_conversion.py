"""The converted detector gives OpenCV's numbers at any size, and other files are refused."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from skimage.data import astronaut

from moodspace.embeddings.detection.conversion import OUTPUTS, convert_centerface
from moodspace.embeddings.detection.detectors import DetectorError, bundled_weights
from moodspace.embeddings.litert import Network
from tests.litert_networks import run


@pytest.fixture(scope="module")
def centerface() -> Network:
    return convert_centerface(bundled_weights())


@pytest.mark.parametrize("size", [(96, 96), (160, 96), (64, 224)])
def test_the_converted_detector_gives_opencvs_maps_at_any_size(centerface: Network, size: tuple[int, int]) -> None:
    height, width = size
    picture = cv2.resize(astronaut()[:256, 100:356], (width, height), interpolation=cv2.INTER_AREA)
    content = centerface.resized(height=height, width=width)
    found = run(content, pixels=picture[None].astype(np.float32))
    net = cv2.dnn.readNetFromONNX(str(bundled_weights()), cv2.dnn.ENGINE_NEW)
    net.setInput(cv2.dnn.blobFromImage(picture))
    for name, wanted in zip(OUTPUTS.values(), net.forward(tuple(OUTPUTS)), strict=True):
        np.testing.assert_allclose(found[name].transpose(0, 3, 1, 2), wanted, atol=1e-4)


def test_the_converted_detector_computes_with_constants(centerface: Network) -> None:
    # Weights that an operator expands first make the web runtime four times slower.
    assert "DEQUANTIZE" not in operators(centerface.content)


def operators(content: bytes) -> set[str]:
    from ai_edge_litert import schema_py_generated as schema

    model = schema.Model.GetRootAs(content, 0)
    names = {value: name for name, value in vars(schema.BuiltinOperator).items() if isinstance(value, int)}
    graph = model.Subgraphs(0)
    codes = [graph.Operators(at).OpcodeIndex() for at in range(graph.OperatorsLength())]
    return {names[model.OperatorCodes(code).BuiltinCode()] for code in codes}


def test_another_file_is_no_detector(tmp_path: Path) -> None:
    for content in (b"", b"something", bundled_weights().read_bytes()[:100_000]):
        (tmp_path / "other.onnx").write_bytes(content)
        with pytest.raises(DetectorError, match="expected CenterFace's ONNX file"):
            convert_centerface(tmp_path / "other.onnx")
    with pytest.raises(DetectorError, match="No such file"):
        convert_centerface(tmp_path / "none.onnx")
