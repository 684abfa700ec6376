"""Bad input: each exit code, and one line on stderr that says what was expected, what came and what to do."""

import json
import shutil
import signal
import subprocess
import sys
from hashlib import sha256

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.drawn_faces import drawn_faces, write_folder


def refused(result, code, *words):
    """Checks a refusal: the exit code, nothing on stdout, one `error:` line that has the words."""
    assert result.exit_code == code, result.output
    assert result.stdout == ""
    assert result.stderr.startswith("error: ") and result.stderr.count("\n") == 1, result.stderr
    assert [word for word in words if word not in result.stderr] == []


def misused(result, *words):
    """Checks a usage error, which typer frames over several lines."""
    assert result.exit_code == 2, result.output
    assert result.stdout == "" and "Traceback" not in result.stderr
    told = " ".join(result.stderr.replace("│", " ").split())
    assert [word for word in words if word not in told] == []


@pytest.fixture
def copied(shipped, tmp_path):
    """A copy of the shipped bundle, to be harmed."""
    return shutil.copytree(shipped, tmp_path / "copied")


@pytest.fixture
def blank(tmp_path):
    """A picture of nothing."""
    Image.new("RGB", (320, 240), (90, 120, 150)).save(tmp_path / "blank.png")
    return tmp_path / "blank.png"


@pytest.fixture
def faces(tmp_path):
    """A labelled data set of drawn faces."""
    write_folder(drawn_faces(14, seed=2), tmp_path / "faces")
    return tmp_path / "faces"


# Bundles: 3.


@pytest.mark.parametrize("command", ["demo", "live", "predict", "index", "evaluate", "visualize"])
def test_no_bundle(run, astronaut, faces, tmp_path, command):
    arguments = {
        "demo": ["--out", tmp_path / "out"],
        "live": ["--source", astronaut, "--headless"],
        "predict": [astronaut, "--json"],
        "index": [faces],
        "evaluate": [faces],
        "visualize": ["--out", tmp_path / "out"],
    }[command]
    result = run(command, *arguments, "--bundle", tmp_path / "none")
    refused(result, 3, str(tmp_path / "none"), "expected a moodspace-bundle")
    assert not (tmp_path / "out").exists() and not (tmp_path / "none").exists()


def test_a_foreign_folder_as_bundle(run, astronaut, faces):
    refused(run("predict", astronaut, "--bundle", faces), 3, str(faces), "expected a moodspace-bundle")


def test_a_file_as_bundle(run, astronaut):
    refused(run("predict", astronaut, "--bundle", astronaut), 3, str(astronaut), "expected")


def test_a_truncated_network(run, astronaut, copied):
    network = copied / "encoder.tflite"
    network.write_bytes(network.read_bytes()[:-1000])
    refused(run("predict", astronaut, "--bundle", copied, "--json"), 3, str(copied), "encoder.tflite", "expected")


def test_a_changed_network(run, astronaut, copied):
    network = copied / "encoder.tflite"
    content = bytearray(network.read_bytes())
    content[len(content) // 2] ^= 1
    network.write_bytes(content)
    refused(run("predict", astronaut, "--bundle", copied), 3, "encoder.tflite", "expected", "restore")


def test_a_network_of_rubble_that_the_manifest_agrees_with(run, astronaut, copied):
    (copied / "encoder.tflite").write_bytes(b"rubble")
    manifest = json.loads((copied / "manifest.json").read_text())
    digest = sha256(b"rubble").hexdigest()
    manifest["files"]["encoder.tflite"] = {"path": "encoder.tflite", "bytes": 6, "sha256": digest}
    (copied / "manifest.json").write_text(json.dumps(manifest))
    refused(run("predict", astronaut, "--bundle", copied), 3, "encoder.tflite")


def test_a_gallery_of_another_dimension(run, astronaut, copied):
    from moodspace.classifier.bundle.bundle import FORMAT, VERSION, load_bundle
    from moodspace.index.gallery import Gallery
    from moodspace.index.search import GalleryIndex, gallery_meta, gallery_writers
    from moodspace.index.store.commit import commit

    bundle = load_bundle(copied)
    other = GalleryIndex(Gallery.empty(bundle.encoder.dim + 8, bundle.classes), encoder=bundle.index.encoder)
    meta = {**bundle.meta, **gallery_meta(other)}
    commit(copied, gallery_writers(other), meta, format=FORMAT, version=VERSION, keep={"encoder.tflite"})
    dim = bundle.encoder.dim
    refused(run("predict", astronaut, "--bundle", copied), 3, f"dimension {dim}", f"got {dim + 8}")


def test_debug_shows_the_traceback(run, astronaut, tmp_path):
    result = run("--debug", "predict", astronaut, "--bundle", tmp_path / "none")
    assert type(result.exception).__name__ == "BundleError"


# Sources and faces: 4.


def test_no_camera(run_process, shipped):
    done = run_process("live", "--source", "7", "--headless")
    assert (done.returncode, done.stdout) == (4, "")
    told = done.stderr.splitlines()
    assert len(told) == 1 and told[0].startswith("error: camera 7: expected a camera, got none")


def test_no_such_file(run, shipped, tmp_path):
    for command in (["predict"], ["live", "--headless", "--source"]):
        refused(run(*command, tmp_path / "gone.jpg"), 4, "gone.jpg", "expected", "got no such path")


def test_an_empty_folder(run, shipped, tmp_path):
    for command in (["predict"], ["live", "--headless", "--source"]):
        refused(run(*command, tmp_path), 4, str(tmp_path), "expected a folder with pictures or videos", "name another")


@pytest.mark.parametrize("name", ["words.jpg", "words.mp4", "words.txt"])
def test_a_file_that_is_no_picture(run, shipped, tmp_path, name):
    (tmp_path / name).write_text("These are words.\n" * 50)
    refused(run("predict", tmp_path / name, "--json"), 4, name, "expected")


def test_a_broken_picture_among_good_ones(run, shipped, astronaut, tmp_path):
    shutil.copy(astronaut, tmp_path / "a.png")
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff\xe0" + bytes(100))
    shutil.copy(astronaut, tmp_path / "c.png")
    result = run("predict", tmp_path, "--json")
    assert result.exit_code == 1
    documents = [json.loads(line) for line in result.stdout.splitlines()]
    assert [document["source"] for document in documents] == [str(tmp_path / name) for name in ("a.png", "c.png")]
    assert all(len(document["faces"]) == 1 for document in documents)
    first, second = result.stderr.splitlines()
    assert first.startswith(f"skipped {tmp_path / 'b.jpg'}: ") and "expected" in first
    assert second == "1 skipped"
    live = run("live", "--source", tmp_path, "--headless", "--json")
    assert (live.exit_code, live.stdout.count("\n")) == (1, 2) and "b.jpg" in live.stderr


def test_nothing_but_broken_pictures(run, shipped, tmp_path):
    (tmp_path / "b.jpg").write_bytes(b"\xff\xd8\xff\xe0")
    (tmp_path / "c.jpg").write_bytes(b"")
    refused(run("predict", tmp_path), 4, "got none among 2", "b.jpg")


def test_a_picture_without_a_face(run, shipped, blank):
    result = run("predict", blank, "--json")
    assert (result.exit_code, result.stderr) == (4, "no face found\n")
    assert json.loads(result.stdout) == {"source": str(blank), "faces": []}


def test_a_picture_without_a_face_beside_one_with(run, shipped, blank, astronaut):
    result = run("predict", blank, astronaut, "--json")
    assert result.exit_code == 0, result.output
    assert [len(json.loads(line)["faces"]) for line in result.stdout.splitlines()] == [0, 1]


def test_a_camera_cannot_be_predicted(run, shipped):
    result = run("predict", "7")
    refused(result, 4, "camera 7")


# Usage: 2.


@pytest.mark.parametrize("command", ["predict", "live", "demo", "evaluate", "visualize"])
def test_an_unknown_label_set(run, shipped, astronaut, faces, tmp_path, command):
    arguments = {
        "predict": [astronaut],
        "live": ["--source", astronaut, "--headless"],
        "demo": ["--out", tmp_path / "out"],
        "evaluate": [faces],
        "visualize": ["--out", tmp_path / "out"],
    }[command]
    misused(run(command, *arguments, "--labels", "nosuch"), "--labels", "fer2013, ferplus", "'nosuch'")
    assert not (tmp_path / "out").exists()


def test_an_unknown_option_command_or_missing_argument(run):
    misused(run("predict", "a.png", "--nosuch"), "--nosuch")
    misused(run("nosuch"), "nosuch")
    misused(run("predict"), "SOURCE")
    misused(run("train", "data"), "--out")
    misused(run("train", "data", "--out", "b", "--epochs", "many"), "--epochs", "integer")


def test_finish_without_a_training(run, faces, tmp_path):
    misused(run("train", faces, "--out", tmp_path / "b", "--finish"), "expected a training beside", "found none")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--arch", "nosuch"], ["mobilenet_v2, cnn, vgg, resnet_se", "'nosuch'"]),
        (["--set", "nosuch=1"], ["learning_rate", "'nosuch=1'"]),
        (["--set", "batch=many"], ["batch", "int", "'many'"]),
        (["--epochs", "0"], ["epochs", "at least 1", "0"]),
        (["--labels", "nosuch"], ["labels", "faces", "'nosuch'"]),
        (["--split", "train"], ["no split", "'train'"]),
        (["--validation-split", "1.5"], ["a share in (0, 1)", "1.5"]),
    ],
)
def test_a_training_that_cannot_be(run, faces, tmp_path, arguments, words):
    result = run("train", faces, "--out", tmp_path / "b", *arguments)
    assert result.exit_code in (1, 2) and result.stdout == "" and "Traceback" not in result.stderr
    told = " ".join(result.stderr.replace("│", " ").split())
    assert [word for word in ["expected", *words] if word not in told] == []
    assert not list(tmp_path.glob("b*"))


# Data: 1.


@pytest.mark.parametrize("command", ["train", "index", "evaluate"])
def test_data_without_faces(run, shipped, copied, tmp_path, command):
    (tmp_path / "empty").mkdir()
    where = ["--out", tmp_path / "new"] if command == "train" else ["--bundle", copied]
    before = (copied / "manifest.json").read_bytes()
    refused(run(command, tmp_path / "empty", *where), 1, str(tmp_path / "empty"), "expected")
    refused(run(command, tmp_path / "gone", *where), 1, str(tmp_path / "gone"), "expected")
    assert not list(tmp_path.glob("new*"))
    assert (copied / "manifest.json").read_bytes() == before


def test_data_of_other_classes_cannot_be_scored(run, shipped, tmp_path):
    grey = np.full((48, 48), 128, np.uint8)
    for name in ("cat", "dog"):
        (tmp_path / "pets" / name).mkdir(parents=True)
        Image.fromarray(grey).save(tmp_path / "pets" / name / "1.png")
    refused(run("evaluate", tmp_path / "pets", "--json"), 1, "expected", "angry", "cat, dog")


def test_a_broken_picture_in_data_is_named_and_counted(run, shipped, faces):
    (faces / "happy" / "broken.png").write_bytes(b"\x89PNG\r\n")
    result = run("evaluate", faces, "--json")
    assert result.exit_code == 1
    assert json.loads(result.stdout)["n"] == 14
    assert "broken.png" in result.stderr and result.stderr.endswith("1 skipped\n")


# Ctrl-C: 130.


@pytest.mark.parametrize("command", [["live", "--headless", "--json", "--source"], ["predict", "--json"]])
def test_ctrl_c_ends_quietly(shipped, astronaut, tmp_path, command):
    for number in range(400):
        (tmp_path / f"{number:03d}.png").symlink_to(astronaut)
    line = [sys.executable, "cli.py", *command, str(tmp_path)]
    process = subprocess.Popen(line, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    with process:
        assert json.loads(process.stdout.readline())["faces"]
        process.send_signal(signal.SIGINT)
        rest, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stderr == ""
    assert rest.count("\n") < 399
    assert all(json.loads(line) for line in rest.splitlines())
