"""The adapters, with stand-ins for their packages: which faces they hand over, and which class each column is."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.peers.environments import HERE, command, settings

ADAPTERS = HERE / "adapters"
node = pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")

FER = """
class FER:
    def __init__(self, mtcnn, use_tflite):
        assert not mtcnn
        self.first = 0.9 if use_tflite else 0.8

    def _get_labels(self):
        return dict(enumerate(NAMES))

    def _classify_emotions(self, faces):
        assert faces.shape[1:] == (64, 64) and -1 <= faces.min() and faces.max() <= 1, faces.shape
        # A white face is surprise, a black one angry.
        return [[0.0] * 5 + [self.first, 0.1] if face.mean() > 0 else [self.first, 0.1] + [0.0] * 5 for face in faces]

    def detect_emotions(self, frame):
        assert frame.shape == (20, 30, 3) and frame[0, 0, 2] == 200, "not BGR"
        return [None, None]
"""
FACEX = """
class EmotionClassifier:
    def __init__(self, path):
        self.category = ["anger", "disgust", "fear", "happy", "neutral", "sadness", "surprised"]

    def detect_emotion(self, face):
        assert face.shape == (48, 48)
        return dict(zip(self.category, [0.0] * 6 + [1.0] if face.mean() > 100 else [1.0] + [0.0] * 6))

    def predict(self, frame):
        assert frame[0, 0, 2] == 200, "not BGR"
        return [None]
"""
# The wide band of red tells RGB from BGR.
FRAME = np.zeros((20, 30, 3), np.uint8)
FRAME[..., 0] = 200


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    """Three faces, black, white and black, a clip of five frames, and vectors."""
    folder = tmp_path / "inputs"
    folder.mkdir()
    crops = np.zeros((3, 48, 48), np.uint8)
    crops[1] = 255
    crops.tofile(folder / "crops.u8")
    np.stack([FRAME] * 5).tofile(folder / "clip0.rgb")
    (folder / "clips.json").write_text(json.dumps([{"name": "clip", "height": 20, "width": 30, "frames": 5}]))
    return folder


def answer(words: list[str], packages: Path | None = None) -> dict[str, Any]:
    """Run an adapter and return its answer."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(packages or ""), str(HERE.parents[1])])}
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    (line,) = (line for line in done.stdout.splitlines() if line.startswith("ANSWER "))
    found: dict[str, Any] = json.loads(line.removeprefix("ANSWER "))
    assert found["peak_mb"] > 5
    return found


def install(folder: Path, package: str, files: dict[str, str]) -> None:
    """Write a Python package with its metadata."""
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    told = folder / f"{package}-7.0.dist-info"
    told.mkdir()
    (told / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 7.0\n")


def labels_of(found: dict[str, Any]) -> list[str]:
    proba = np.reshape(found["proba"], (-1, len(found["classes"])))
    return [found["classes"][at] for at in proba.argmax(axis=1)]


@pytest.mark.parametrize(("words", "first"), [(["tflite"], 0.9), (["hdf5"], 0.8)])
def test_fer_gets_the_faces_that_its_network_takes(
    tmp_path: Path, inputs: Path, words: list[str], first: float
) -> None:
    names = ["angry", "disgust", "fear", "happy", "sad", "surprise", "neutral"]
    install(tmp_path / "p", "fer", {"fer/__init__.py": "", "fer/fer.py": f"NAMES = {names}\n{FER}"})
    found = answer([sys.executable, str(ADAPTERS / "fer_.py"), "label", str(inputs), "", *words], tmp_path / "p")
    assert labels_of(found) == ["angry", "surprise", "angry"] and max(found["proba"]) == first
    assert found["version"] == "7.0"


def test_fer_with_other_classes_is_refused(tmp_path: Path, inputs: Path) -> None:
    install(tmp_path / "p", "fer", {"fer/__init__.py": "", "fer/fer.py": f"NAMES = ['calm']\n{FER}"})
    with pytest.raises(AssertionError, match=r"expected the classes angry, .* got calm"):
        answer([sys.executable, str(ADAPTERS / "fer_.py"), "label", str(inputs), "", "tflite"], tmp_path / "p")


def test_facex_says_the_classes_in_fer2013s_names(tmp_path: Path, inputs: Path) -> None:
    install(tmp_path / "p", "facex", {"facex/__init__.py": "", "facex/core.py": FACEX})
    found = answer([sys.executable, str(ADAPTERS / "facex_.py"), "label", str(inputs), ""], tmp_path / "p")
    assert labels_of(found) == ["angry", "surprise", "angry"]


def test_times_are_of_one_eight_and_thirty_two_faces_and_of_each_clip(tmp_path: Path, inputs: Path) -> None:
    install(tmp_path / "p", "facex", {"facex/__init__.py": "", "facex/core.py": FACEX})
    run = [sys.executable, "-c", (
        "import sys; sys.argv[0] = 'facex_.py'; import common, runpy\n"
        "timed = common.timed_ms; common.timed_ms = lambda call: timed(call, seconds=0.01)\n"
        f"runpy.run_path({str(ADAPTERS / 'facex_.py')!r})"
    ), "time", str(inputs), ""]  # fmt: skip
    environment_path = f"{ADAPTERS}{os.pathsep}{tmp_path / 'p'}"
    found = answer(run, Path(environment_path))
    assert set(found["ms"]) == {"1", "8", "32"} and all(value > 0 for value in found["ms"].values())
    assert found["clips"]["clip"]["faces"] == 1.0 and found["clips"]["clip"]["frame_ms"] > 0
    assert "live_ms" not in found["clips"]["clip"]


def test_a_cold_start_gives_the_version_alone(tmp_path: Path, inputs: Path) -> None:
    install(tmp_path / "p", "facex", {"facex/__init__.py": "", "facex/core.py": FACEX})
    found = answer([sys.executable, str(ADAPTERS / "facex_.py"), "cold", str(inputs), ""], tmp_path / "p")
    assert set(found) == {"version", "peak_mb"}


@pytest.mark.parametrize("view", ["default", "fer2013"])
def test_moodspace_labels_faces_by_its_public_api(inputs: Path, view: str) -> None:
    import moodspace as ms

    found = answer([sys.executable, str(ADAPTERS / "moodspace_.py"), "label", str(inputs), "", view])
    model = ms.load(view=None if view == "default" else view)
    crops = np.fromfile(inputs / "crops.u8", np.uint8).reshape(-1, 48, 48)
    assert found["classes"] == list(model.classes_) and found["version"] == ms.__version__
    assert np.allclose(np.reshape(found["proba"], (3, -1)), model.predict_proba(crops), atol=1e-5)


@pytest.mark.parametrize("method", ["moodspace", "scikit-learn"])
def test_an_exact_search_finds_all_neighbors(tmp_path: Path, method: str) -> None:
    vectors = np.random.default_rng(0).normal(size=(400, 8)).astype(np.float32)
    (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).tofile(tmp_path / "vectors.f32")
    (tmp_path / "vectors.json").write_text('{"dim": 8}')
    found = answer([sys.executable, str(ADAPTERS / "index_.py"), "search", str(tmp_path), "", method])
    assert found["recall"] == 1.0 and set(found["ms"]) == {"1", "8", "32"} and found["build_ms"] > 0


TFJS = "module.exports = {};"
WASM = "exports.setWasmPaths = () => {};"
FACE_API = """
const tensor3d = (data, shape) => ({ data, shape, dispose() {} });
exports.version = '7.0';
exports.tf = { setBackend: async () => {}, ready: async () => {}, tensor3d };
exports.TinyFaceDetectorOptions = class {};
const said = ({ data, shape }) => {
  if (String(shape) !== '48,48,3') throw new Error(`not a color picture: ${shape}`);
  return { neutral: 0, happy: 0, sad: 0, fearful: 0, disgusted: 0,
    angry: data[0] < 100 ? 1 : 0, surprised: data[0] < 100 ? 0 : 1 };
};
exports.nets = {
  faceExpressionNet: { loadFromDisk: async () => {},
    predictExpressions: async (tensors) => (tensors.length === 1 ? said(tensors[0]) : tensors.map(said)) },
  tinyFaceDetector: { loadFromDisk: async () => {} },
};
exports.detectAllFaces = (tensor) => ({ withFaceExpressions: async () => {
  if (tensor.data[0] !== 200) throw new Error('not RGB');
  return [1, 2, 3];
} });
"""
HUMAN = """
const said = (value) => (value[0] < 0 ? [1, 0, 0, 0, 0, 0, 0] : [0, 0, 0, 0, 0, 1, 0]);
const keep = (value) => ({ value, dispose() {}, data: async () => said(value) });
const model = { inputs: [{ shape: [-1, 64, 64, 1] }], execute: keep };
exports.default = class {
  constructor(config) { this.config = { cacheSensitivity: 0.7, ...config }; this.version = '7.0'; }
  async load() {}
  tf = {
    loadGraphModel: async ({ load }) => { await load(); return model; },
    tidy: (call) => call(),
    tensor4d: (data) => data, image: { resizeBilinear: (image) => image },
    sub: (a, b) => a.map((value) => value - b), mul: (a, b) => a.map((value) => value * b),
    tensor: (data, shape) => ({ data, shape, dispose() {} }),
  };
  async detect(tensor, { cacheSensitivity }) {
    if (String(tensor.shape) !== '1,20,30,3' || tensor.data[0] !== 200) throw new Error('not an RGB picture');
    const face = { emotion: [{ emotion: 'happy' }] };
    return { face: cacheSensitivity === 0 ? [face, face, { emotion: [] }] : [face] };
  }
};
"""


@pytest.fixture
def modules(tmp_path: Path) -> Path:
    """An environment of Node with stand-ins for the packages."""
    folder = tmp_path / "environment"
    files = {
        "package.json": "{}",
        "node_modules/@tensorflow/tfjs/index.js": TFJS,
        "node_modules/@tensorflow/tfjs-backend-wasm/index.js": WASM,
        "node_modules/@vladmandic/face-api/dist/face-api.node-wasm.js": FACE_API,
        "node_modules/@vladmandic/human/dist/human.node-wasm.js": HUMAN,
        "node_modules/@vladmandic/human/models/emotion.json": '{"weightsManifest": [{"weights": []}]}',
        "node_modules/@vladmandic/human/models/emotion.bin": "",
    }
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return folder


@node
@pytest.mark.parametrize("adapter", ["face_api.mjs", "human.mjs"])
def test_the_browser_packages_say_the_classes_in_fer2013s_names(adapter: str, inputs: Path, modules: Path) -> None:
    found = answer(command(adapter, "label", inputs, modules, []))
    assert labels_of(found) == ["angry", "surprise", "angry"] and found["version"] == "7.0"
    assert len(found["proba"]) == 21
    assert set(answer(command(adapter, "cold", inputs, modules, []))) == {"version", "peak_mb"}


@node
@pytest.mark.slow
def test_the_browser_packages_read_each_frame(inputs: Path, modules: Path) -> None:
    human, face_api = (answer(command(name, "time", inputs, modules, [])) for name in ("human.mjs", "face_api.mjs"))
    # Human counts the faces that it labelled; live, its cache is on.
    assert human["clips"]["clip"]["faces"] == 2 and human["clips"]["clip"]["live_faces"] == 1
    assert face_api["clips"]["clip"]["faces"] == 3 and "live_ms" not in face_api["clips"]["clip"]
    assert set(human["ms"]) == set(face_api["ms"]) == {"1", "8", "32"}


def test_each_package_has_an_adapter_an_environment_pinned_versions_a_license_and_its_use() -> None:
    wanted = settings()
    for peer in wanted["peer"]:
        assert wanted["environment"][peer["environment"]]["kind"] in ("python", "node", "wheel")
        assert Path(command(peer["adapter"], "cold", Path(), Path(), [])[1]).is_file()
        assert peer["license"] and len(peer["used"]) > 40
    assert wanted["peer"][0]["name"] == "Moodspace" and wanted["peer"][0].get("times", True)
    for one in wanted["environment"].values():
        for words in (one.get(key, []) for key in ("install", "without_requirements", "tools")):
            assert all("==" in word or word.count("@") == 1 + word.startswith("@") for word in words), words
