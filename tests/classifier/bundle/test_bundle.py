"""Bundles come back as they went in, change in one step, and are not written when their parts do not fit.

The network is a stand-in (`conftest.StandIn`), so that these tests are about the folder alone.
"""

import json
import threading
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from moodspace.classifier.bundle.bundle import BundleError, load_bundle, save_bundle, update_bundle
from moodspace.classifier.recognizer import Recognizer
from moodspace.classifier.taught_scores import Gate
from moodspace.classifier.views import Blend
from moodspace.embeddings.data.labelled import LabelledFaces
from moodspace.index.gallery import Gallery
from moodspace.index.store.commit import commit
from moodspace.index.store.manifest import StorageError
from tests.classifier.conftest import GEOMETRY
from tests.fake_encoder import plain_calibration


def test_round_trip(saved: Path, parts: dict[str, Any]) -> None:
    found = load_bundle(saved, threads=1)
    assert found.path == saved
    assert found.classes == parts["classes"]
    assert found.calibrations == parts["calibrations"]
    assert found.default_labels == "ferplus"
    assert (found.encoder.flip, found.encoder.threads) == (True, 1)  # type: ignore[attr-defined]
    np.testing.assert_array_equal(found.geometry.template, GEOMETRY.template)
    np.testing.assert_array_equal(found.map_coordinates, parts["map_coordinates"])
    np.testing.assert_allclose(found.index.gallery.embeddings, parts["gallery"].embeddings, atol=1e-3)
    np.testing.assert_array_equal(found.index.gallery.labels["ferplus"], parts["gallery"].labels["ferplus"])
    assert found.weights is not None and found.weights.read_bytes() == b"weights"
    assert found.meta["training"] == {"epochs": 3}
    assert found.meta["metrics"] == parts["metrics"]


def test_a_loaded_bundle_predicts(saved: Path, gallery_faces: LabelledFaces) -> None:
    found = Recognizer(load_bundle(saved), "fer2013").predict(gallery_faces.crops[:8])
    np.testing.assert_array_equal(found.neighbors.ids[:, 0], np.arange(8))


def test_map_and_weights_may_be_missing(tmp_path: Path, parts: dict[str, Any]) -> None:
    save_bundle(tmp_path / "mood", **{**parts, "map_coordinates": None, "weights": None})
    found = load_bundle(tmp_path / "mood")
    assert found.map_coordinates is None
    assert found.weights is None


def test_the_gallery_may_be_empty(tmp_path: Path, parts: dict[str, Any], other_faces: LabelledFaces) -> None:
    empty = Gallery.empty(16, parts["classes"])
    save_bundle(tmp_path / "mood", **{**parts, "gallery": empty, "map_coordinates": np.zeros((0, 2), np.float32)})
    found = Recognizer(load_bundle(tmp_path / "mood")).predict(other_faces.crops[:3])
    np.testing.assert_allclose(found.proba, found.head_proba, rtol=1e-6)


def test_saving_over_a_bundle_replaces_all_of_it(saved: Path, parts: dict[str, Any]) -> None:
    parts["encoder"].write_text('{"seed": 6, "dim": 16}')
    save_bundle(saved, **{**parts, "weights": None, "map_coordinates": None})
    found = load_bundle(saved)
    assert found.weights is None
    assert found.index.encoder == sha256(parts["encoder"].read_bytes()).hexdigest()
    assert len(list(saved.iterdir())) == 4


class TestUpdate:
    def test_another_gallery_takes_the_map_along(self, saved: Path, parts: dict[str, Any]) -> None:
        fewer = parts["gallery"].take(np.arange(10))
        update_bundle(saved, gallery=fewer)
        found = load_bundle(saved)
        np.testing.assert_array_equal(found.index.gallery.ids, fewer.ids)
        assert found.map_coordinates is None
        assert found.calibrations == parts["calibrations"]
        assert found.weights is not None

    def test_a_map_comes_with_its_gallery(self, saved: Path, parts: dict[str, Any]) -> None:
        places = np.ones((10, 2), np.float32)
        update_bundle(saved, gallery=parts["gallery"].take(np.arange(10)), map_coordinates=places)
        np.testing.assert_array_equal(load_bundle(saved).map_coordinates, places)

    def test_a_map_alone(self, saved: Path, parts: dict[str, Any]) -> None:
        update_bundle(saved, map_coordinates=-parts["map_coordinates"])
        found = load_bundle(saved)
        np.testing.assert_array_equal(found.map_coordinates, -parts["map_coordinates"])
        assert len(found.index) == len(parts["gallery"])

    def test_one_calibration_and_some_metrics(self, saved: Path, parts: dict[str, Any]) -> None:
        changed = replace(plain_calibration(8), k=3)
        update_bundle(saved, calibrations={"ferplus": changed}, metrics={"ferplus": {"accuracy": 0.6}})
        found = load_bundle(saved)
        assert found.calibrations == {"fer2013": plain_calibration(7), "ferplus": changed}
        assert found.meta["metrics"] == {"fer2013": {"accuracy": 0.5}, "ferplus": {"accuracy": 0.6}}
        np.testing.assert_array_equal(found.map_coordinates, parts["map_coordinates"])

    @pytest.mark.parametrize(
        "change",
        [
            {"map_coordinates": np.zeros((3, 2), np.float32)},
            {"calibrations": {"weather": plain_calibration(7)}},
            {"calibrations": {"ferplus": plain_calibration(7)}},
            {"gallery": Gallery.empty(8, {"fer2013": ("a",)})},
            {"metrics": {"accuracy": float("nan")}},
        ],
    )
    def test_what_does_not_fit_changes_nothing(self, saved: Path, change: dict[str, Any]) -> None:
        before = {path.name: path.read_bytes() for path in saved.iterdir()}
        with pytest.raises(BundleError, match="expected"):
            update_bundle(saved, **change)
        assert {path.name: path.read_bytes() for path in saved.iterdir()} == before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"default_labels": "moods"}, "expected a default label set among"),
        ({"calibrations": {}}, "expected calibrations of these numbers of classes"),
        ({"map_coordinates": np.zeros((3, 2), np.float32)}, r"map coordinates of shape \(105, 2\), got \(3, 2\)"),
        ({"map_coordinates": np.full((105, 2), np.nan, np.float32)}, "finite map coordinates"),
        ({"encoder": Path("nowhere.tflite")}, "nowhere.tflite"),
        ({"gallery": Gallery.empty(8, {"fer2013": ("a",)})}, "expected a gallery with the classes"),
    ],
)
def test_parts_that_do_not_fit_are_not_written(
    tmp_path: Path, parts: dict[str, Any], change: dict[str, Any], message: str
) -> None:
    with pytest.raises(BundleError, match=message):
        save_bundle(tmp_path / "mood", **{**parts, **change})
    assert not (tmp_path / "mood").exists()


def test_a_write_that_fails_leaves_the_old_bundle(
    saved: Path, parts: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise StorageError(f"{saved}: expected free space, got none; free some")

    monkeypatch.setattr(np, "save", refuse)
    with pytest.raises(BundleError, match="free some"):
        save_bundle(saved, **{**parts, "default_labels": "fer2013"})
    assert load_bundle(saved).default_labels == "ferplus"


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, parts: dict[str, Any]) -> None:
    commit(tmp_path / "mood", {}, {}, format="moodspace-gallery", version=1)
    with pytest.raises(BundleError, match="moodspace-gallery"):
        save_bundle(tmp_path / "mood", **parts)


def test_the_blend_is_loaded_as_it_was_saved_and_may_be_the_default(tmp_path, parts):
    save_bundle(tmp_path / "mood", **{**parts, "default_labels": "blend"})
    loaded = load_bundle(tmp_path / "mood")
    assert loaded.blend == parts["blend"]
    assert loaded.default_labels == "blend"
    assert list(loaded.views) == ["fer2013", "ferplus", "blend"]


def test_without_a_blend_there_is_none_to_predict(tmp_path, parts):
    save_bundle(tmp_path / "mood", **{**parts, "blend": None})
    assert list(load_bundle(tmp_path / "mood").views) == ["fer2013", "ferplus"]
    with pytest.raises(BundleError, match="default label set"):
        save_bundle(tmp_path / "other", **{**parts, "blend": None, "default_labels": "blend"})


def test_a_blend_of_classes_that_a_label_set_lacks_is_refused(tmp_path, parts):
    strange = Blend(("smug",), {"fer2013": (0.5,), "ferplus": (0.5,)}, "ferplus")
    with pytest.raises(BundleError, match="a blend of the bundle's label sets"):
        save_bundle(tmp_path / "mood", **{**parts, "blend": strange})


def test_two_writers_lose_nothing_of_each_other(saved: Path, parts: dict[str, Any]) -> None:
    errors: list[BaseException] = []

    def measure(writer: int) -> None:
        try:
            for round_ in range(4):
                update_bundle(
                    saved, metrics={f"{writer}-{round_}": 1}, map_coordinates=parts["map_coordinates"] + writer
                )
                load_bundle(saved)
        except Exception as error:
            errors.append(error)

    writers = [threading.Thread(target=measure, args=(writer,)) for writer in range(3)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join(60)
    assert errors == []
    found = load_bundle(saved)
    assert {f"{writer}-{round_}" for writer in range(3) for round_ in range(4)} <= set(found.meta["metrics"])
    named = {entry["path"] for entry in json.loads((saved / "manifest.json").read_text())["files"].values()}
    assert {path.name for path in saved.iterdir()} == {*named, "manifest.json"}


def test_a_map_of_a_gallery_that_was_replaced_meanwhile_is_refused(saved: Path, parts: dict[str, Any]) -> None:
    seen = load_bundle(saved)
    gallery = parts["gallery"]
    update_bundle(saved, gallery=replace(gallery, embeddings=np.ascontiguousarray(gallery.embeddings[::-1])))
    with pytest.raises(BundleError, match="expected the network and gallery of before, got others"):
        update_bundle(saved, map_coordinates=parts["map_coordinates"], made_from=seen)
    assert load_bundle(saved).map_coordinates is None


def test_a_fitted_gate_comes_back(tmp_path: Path, parts: dict[str, Any]) -> None:
    save_bundle(tmp_path / "gated", **parts, gate=Gate(closeness=0.61))
    assert load_bundle(tmp_path / "gated").gate == Gate(closeness=0.61)
