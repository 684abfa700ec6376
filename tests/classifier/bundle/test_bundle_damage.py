"""Whatever is wrong with a bundle's folder, loading it says so in one line, the folder as it was given first."""

import json
import shutil
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from moodspace.classifier.bundle.bundle import VERSION, BundleError, load_bundle

Damage = Callable[[Path], object]


def manifest(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Damage to the manifest."""

    def damage(folder: Path) -> None:
        document = json.loads((folder / "manifest.json").read_text())
        change(document)
        (folder / "manifest.json").write_text(json.dumps(document))

    return damage


def meta(change: Callable[[dict[str, Any]], object]) -> Damage:
    """Damage to what the manifest states about the bundle."""
    return manifest(lambda document: change(document["meta"]))


def forged(name: str, content: bytes) -> Damage:
    """Another artifact under a name, with a manifest that agrees: the work of a foreign or broken writer."""

    def damage(folder: Path) -> None:
        (folder / name).write_bytes(content)
        entry = {"path": name, "bytes": len(content), "sha256": sha256(content).hexdigest()}
        manifest(lambda document: document["files"].update({name: entry}))(folder)

    return damage


def other_dimension(folder: Path) -> None:
    """A network of 8 numbers, and a gallery of 16 that claims to be its own."""
    network = b'{"seed": 5, "dim": 8}'
    forged("encoder.tflite", network)(folder)
    meta(lambda m: m["gallery"].update(encoder=sha256(network).hexdigest()))(folder)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        pytest.param(shutil.rmtree, "expected a moodspace-bundle", id="no folder"),
        pytest.param(lambda folder: (folder / "manifest.json").unlink(), "a moodspace-bundle", id="no manifest"),
        pytest.param(lambda folder: (folder / "manifest.json").write_text("{"), "manifest.json", id="broken manifest"),
        pytest.param(meta(lambda m: m.update(quality=[1])), "expected 'quality', a dict", id="quality as a list"),
        pytest.param(meta(lambda m: m.update(blend="half")), "expected 'blend', a dict", id="blend as a word"),
        pytest.param(manifest(lambda d: d.update(format="moodspace-gallery")), "moodspace-gallery", id="other format"),
        pytest.param(manifest(lambda d: d.update(version=VERSION + 1)), "update this program", id="newer version"),
        pytest.param(manifest(lambda d: d.update(version=1)), "version 2, got 1; restore", id="older version"),
        pytest.param(lambda folder: (folder / "encoder.tflite").unlink(), "encoder.tflite", id="no network"),
        pytest.param(lambda folder: (folder / "encoder.tflite").write_bytes(b"{"), "encoder.tflite", id="truncated"),
        pytest.param(manifest(lambda d: d["files"].pop("encoder.tflite")), "encoder.tflite", id="network not named"),
        pytest.param(forged("encoder.tflite", b"{"), "expected a network, got rubble", id="network of rubble"),
        pytest.param(forged("encoder.tflite", b'{"seed": 9, "dim": 16}'), "a gallery of encoder", id="other network"),
        pytest.param(other_dimension, "the encoder's dimension 8, got 16", id="other dimension"),
        pytest.param(lambda folder: (folder / "gallery.npz").unlink(), "gallery.npz", id="no gallery"),
        pytest.param(forged("gallery.faiss", b"x"), "gallery.faiss", id="gallery of rubble"),
        pytest.param(forged("gallery.npz", b"x"), "gallery.npz", id="columns of rubble"),
        pytest.param(forged("map.npy", b""), "map.npy: expected map coordinates", id="empty map"),
        pytest.param(forged("map.npy", b"\x80\x04N."), "map.npy: expected map coordinates", id="pickled map"),
        pytest.param(meta(lambda m: m.pop("classes")), "'classes', a dict, got None", id="no classes"),
        pytest.param(meta(lambda m: m["classes"].update(fer2013=7)), "'fer2013', a list, got 7", id="classes a number"),
        pytest.param(meta(lambda m: m["classes"]["fer2013"].pop()), "a gallery with the classes", id="class too few"),
        pytest.param(meta(lambda m: m["classes"]["fer2013"].reverse()), "a gallery with the classes", id="class order"),
        pytest.param(meta(lambda m: m.update(default_labels="x")), "got 'x'", id="unknown default"),
        pytest.param(meta(lambda m: m.update(flip="yes")), "'flip', a bool, got 'yes'", id="flip in words"),
        pytest.param(meta(lambda m: m.pop("metrics")), "'metrics', a dict, got None", id="no metrics"),
        pytest.param(meta(lambda m: m["calibrations"].pop("ferplus")), "expected calibrations", id="no calibration"),
        pytest.param(meta(lambda m: m["calibrations"]["ferplus"].update(tau=0)), "tau: expected", id="tau of 0"),
        pytest.param(
            meta(lambda m: m["calibrations"].update(ferplus=m["calibrations"]["fer2013"])),
            "these numbers of classes",
            id="scale too few",
        ),
        pytest.param(meta(lambda m: m["calibrations"].update(ferplus=7)), "calibration: expected", id="calibration 7"),
        pytest.param(meta(lambda m: m["geometry"]["template"].pop()), "template: expected", id="geometry of 4 points"),
    ],
)
def test_damage_is_one_clear_line(saved: Path, damage: Damage, message: str, monkeypatch: pytest.MonkeyPatch) -> None:
    damage(saved)
    monkeypatch.chdir(saved.parent)
    with pytest.raises(BundleError) as caught:
        load_bundle(Path("mood"))
    assert message in str(caught.value)
    assert str(caught.value).startswith("mood")
    assert "\n" not in str(caught.value)
