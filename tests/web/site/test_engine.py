"""The browser engine in a real Chromium gives Python's answers: crops, photos, live frames and taught faces."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import pytest
from playwright.sync_api import Error
from skimage.data import astronaut

from moodspace.arrays import ByteArray
from moodspace.classifier.bundle.bundle import Bundle, load_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.embeddings.crops import crop_faces
from moodspace.embeddings.detection.detectors import CenterFace, open_picture_detector
from moodspace.index.taught.exchange import export_gallery, import_gallery
from moodspace.index.taught.faces import NewFaces
from moodspace.index.taught.gallery import TaughtGallery
from moodspace.index.taught.search import TaughtIndex
from moodspace.index.taught.user_gallery import open_gallery
from moodspace.realtime.pipeline import LivePipeline, Pipeline
from tests.web.site.engine import Engine, columns, served

if TYPE_CHECKING:
    from playwright.sync_api import Browser


@pytest.fixture(scope="module")
def bundle(shipped: Path) -> Bundle:
    return load_bundle(shipped)


@pytest.fixture(scope="module")
def engine(site_folder: Path, camera_browser: "Browser") -> Iterator[Engine]:
    with served(site_folder, path="/a/") as server:
        opened = Engine(camera_browser, server.address)
        opened.load()
        yield opened


@pytest.fixture(autouse=True)
def fresh(request: pytest.FixtureRequest) -> None:
    """Begins each test without tracks and taught faces."""
    if "engine" in request.fixturenames:
        engine = request.getfixturevalue("engine")
        engine.call("setView", "blend")
        engine.call("reset")
        if ids := [face["id"] for face in engine.call("taught")["faces"]]:
            engine.call("forget", ids)


class Taught:
    """The taught faces of a gallery, for a recognizer."""

    def __init__(self, gallery: TaughtGallery) -> None:
        self.index = gallery.snapshot()

    def current(self) -> TaughtIndex:
        return self.index


def png(frame_bgr: ByteArray) -> bytes:
    return cv2.imencode(".png", frame_bgr)[1].tobytes()


def frame() -> ByteArray:
    return np.ascontiguousarray(astronaut()[:384, :512, ::-1])


@pytest.fixture(scope="module")
def crops() -> ByteArray:
    """Fifty crops of one face: turned, mirrored, darker and noisy."""
    rng = np.random.default_rng(2)
    found = CenterFace().detect(frame())
    out = []
    for _ in range(50):
        landmarks = found.landmarks[:1] + rng.normal(0, 5, (1, 5, 2)).astype(np.float32)
        crop = crop_faces(frame(), landmarks)[0][:, :: int(rng.choice([1, -1]))]
        noisy = crop * rng.uniform(0.3, 1.2) + rng.normal(0, rng.uniform(0, 30), crop.shape)
        out.append(np.clip(noisy, 0, 255).astype(np.uint8))
    return np.array(out)


def test_crops_get_pythons_probabilities_in_every_view(engine: Engine, bundle: Bundle, crops: ByteArray) -> None:
    for view in bundle.views:
        engine.call("setView", view)
        wanted = Recognizer(bundle, view).predict(crops)
        found = engine.crops(crops)
        assert len(set(wanted.labels.tolist())) > 1
        np.testing.assert_allclose([one["proba"] for one in found], wanted.proba, atol=0.01)
        np.testing.assert_allclose([one["votes"] for one in found], wanted.knn_proba, atol=0.01)
        assert [one["unknown"] for one in found] == wanted.unknown.tolist()
        assert [one["neighbors"][0]["id"] for one in found] == wanted.neighbors.ids[:, 0].tolist()
        assert found[0]["neighbors"][0]["source"] == wanted.neighbors.sources[0, 0]


def crowd() -> ByteArray:
    """A picture of 2600x1500 with a large face, a turned one and two that only tiles find."""
    face = frame()[20:320, 120:420]
    picture = np.full((1500, 2600, 3), 90, np.uint8)
    picture[100:1000, 100:1000] = cv2.resize(face, (900, 900))
    turned = cv2.warpAffine(face, cv2.getRotationMatrix2D((150, 150), 20, 1.0), (300, 300))
    picture[600:900, 1200:1500] = turned
    for left in (1700, 2200):
        picture[1200:1320, left : left + 120] = cv2.resize(face, (120, 120), interpolation=cv2.INTER_AREA)
    return picture


def test_photos_have_pythons_faces_and_expressions(engine: Engine, bundle: Bundle) -> None:
    pipeline = Pipeline(open_picture_detector(), Recognizer(bundle))
    for picture in (frame(), crowd(), frame()[:200, :200]):
        wanted = pipeline.process(picture, 0.0)
        found = engine.photo(png(picture))
        assert len(found["faces"]) == len(wanted.faces)
        by_place = {round(float(box[0])): row for row, box in enumerate(wanted.faces.xywh)}
        for face in found["faces"]:
            row = by_place[min(by_place, key=lambda left: abs(left - face["box"]["x"]))]
            box = [face["box"][name] for name in ("x", "y", "width", "height")]
            np.testing.assert_allclose(box, wanted.faces.xywh[row], atol=0.02 * box[3])
            np.testing.assert_allclose(face["proba"], wanted.prediction.proba[row], atol=0.05)
            assert face["unknown"] == bool(wanted.prediction.unknown[row])
            assert face["quality"]["reason"] == wanted.quality.reasons[row]
            if not face["unknown"]:
                assert face["expression"] == columns(found)[int(wanted.prediction.labels[row])]


def test_live_faces_are_followed_and_smoothed_as_in_python(engine: Engine, bundle: Bundle) -> None:
    live = LivePipeline(CenterFace(), Recognizer(bundle))
    for at in range(12):
        moved = np.roll(frame(), 4 * at, axis=1)
        if at >= 8:
            moved = (moved * 0.6).astype(np.uint8)
        now = at / 15
        wanted, found = live.process(moved, now), engine.frame(png(moved), now)
        assert [face["id"] for face in found["faces"]] == wanted.track_ids.tolist() == [1]
        (face,) = found["faces"]
        box = [face["box"][name] for name in ("x", "y", "width", "height")]
        np.testing.assert_allclose(box, wanted.faces.xywh[0], atol=1.5)
        np.testing.assert_allclose(face["proba"], wanted.smoothed[0], atol=0.03)
        np.testing.assert_allclose(face["votes"], wanted.votes[0], atol=0.05)
        assert face["expression"] == columns(found)[int(wanted.shown[0])]
        assert face["neighbors"][0]["label"] == wanted.nearest[0][0].label
    assert engine.frame(png(np.zeros((480, 640, 3), np.uint8)), 9.0)["faces"] == []


def test_taught_faces_go_to_python_and_back(engine: Engine, bundle: Bundle, crops: ByteArray, tmp_path: Path) -> None:
    rows = bundle.encoder.encode(crops)
    with open_gallery(tmp_path / "gallery", bundle.encoder_spec, create=True) as gallery:
        labels = ["smirk"] * 5 + ["happy"] * 3
        gallery.add(NewFaces(rows.embeddings[:8], labels, ["live"] * 8, [""] * 8))
        for name, added in (("faces.json", 8), ("faces.parquet", 0)):
            export_gallery(gallery, tmp_path / name)
            imported = engine.imported((tmp_path / name).read_bytes())
            assert (imported["added"], imported["known"]) == (added, 8 - added)
        assert {one["name"]: one["count"] for one in imported["taught"]["classes"]} == {"happy": 3, "smirk": 5}
        taught = Taught(gallery)
        for view in bundle.views:
            engine.call("setView", view)
            wanted = Recognizer(bundle, view, taught).predict(crops)
            found = engine.crops(crops)
            assert "smirk" in wanted.classes
            np.testing.assert_allclose([one["proba"] for one in found], wanted.proba, atol=0.01)
            assert [one["unknown"] for one in found] == wanted.unknown.tolist()
            near = [one["neighbors"][0]["label"] for one in found]
            assert near == [Recognizer(bundle, view).neighbor_names(wanted, row)[0] for row in range(len(near))]
        (tmp_path / "back.json").write_bytes(engine.exported())
        assert import_gallery(gallery, tmp_path / "back.json") == (0, 8)


def test_a_lesson_counts_at_once_and_can_be_undone(engine: Engine) -> None:
    (seen,) = engine.frame(png(frame()), 0.0)["faces"]
    reference = {"from": "live", "id": seen["id"]}
    held = engine.call("hold", reference)
    assert held["id"] > 0 and held["reason"] == ""
    assert engine.call("hold", reference) == {"id": None, "reason": "same"}
    taught = engine.call("teach", " Smirk ", [reference])
    assert [(one["label"], one["source"]) for one in taught["faces"]] == [("smirk", "live")]
    result = engine.frame(png(frame()), 0.1)
    (face,) = result["faces"]
    assert face["expression"] == "smirk" and columns(result)[-1] == "smirk"
    assert any(one["taught"] and one["label"] == "smirk" for one in face["neighbors"])
    assert "Faces that you taught as smirk decide" in face["explanation"]
    assert engine.call("undo")["faces"] == []
    assert engine.frame(png(frame()), 0.2)["faces"][0]["expression"] == "happy"
    engine.call("teach", "smirk", [{"from": "held", "id": held["id"]}])
    (kept,) = engine.call("taught")["faces"]
    engine.call("forget", [kept["id"]])
    assert len(engine.call("undo")["faces"]) == 1
    assert engine.frame(png(frame()), 0.3)["faces"][0]["expression"] == "smirk"


@pytest.mark.parametrize(
    ("method", "values", "message"),
    [
        ("teach", ["smirk", [{"from": "live", "id": 77}]], "gone: This face is no longer in view"),
        ("teach", ["", [{"from": "live", "id": 1}]], "label: Expected the name of a class, got none"),
        ("forget", [[5]], "gone: These faces are forgotten already"),
        ("exportTaught", [], "gone: There are no taught faces to export"),
        ("setView", ["other"], "internal: Expected a view among"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(
    engine: Engine, method: str, values: list[object], message: str
) -> None:
    with pytest.raises(Error, match=message):
        engine.call(method, *values)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("something", "got another file"),
        (json.dumps({"format": "x"}), "got another file"),
        (
            json.dumps({"format": "moodspace-taught-faces", "version": 1, "encoder": "x", "faces": []}),
            "Another network",
        ),
    ],
)
def test_other_files_are_not_imported(engine: Engine, document: str, message: str) -> None:
    with pytest.raises(Error, match=f"import: .*{message}"):
        engine.imported(document.encode())


def test_threads_give_the_same_answers(
    site_folder: Path, camera_browser: "Browser", engine: Engine, crops: ByteArray
) -> None:
    with served(site_folder, isolated=True) as server:
        other = Engine(camera_browser, server.address)
        threads = other.load(2)["runtime"]["threads"]
        if threads < 2:
            pytest.skip("needs two processors")
        other.call("setView", "blend")
        first, second = engine.crops(crops[:5]), other.crops(crops[:5])
    np.testing.assert_allclose([one["proba"] for one in first], [one["proba"] for one in second], atol=1e-4)


@pytest.mark.parametrize("name", ["encoder", "detector", "gallery"])
def test_a_damaged_file_is_named(site_folder: Path, camera_browser: "Browser", tmp_path: Path, name: str) -> None:
    folder = shutil.copytree(site_folder, tmp_path / "site")
    entry = json.loads((folder / "site.json").read_text())[name]
    content = bytearray((folder / entry["url"]).read_bytes())
    content[len(content) // 2] ^= 255
    (folder / entry["url"]).write_bytes(content)
    with served(folder) as server:
        engine = Engine(camera_browser, server.address)
        with pytest.raises(Error, match=f"damaged: The file assets/{name}.* is damaged"):
            engine.load()
