"""What `train` and `evaluate` say of their data, without a training: it is refused, or stands in for by another."""

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from moodspace.cli import app
from moodspace.cli.training import split_or_share
from moodspace.embeddings.data.labelled import LabelledFaces
from tests.drawn_faces import drawn_faces, write_folder

SCORES = {part: {"accuracy": 0.5} for part in ("head", "knn", "ensemble")}


@pytest.fixture
def trained(monkeypatch):
    """Trains nothing; keeps what it would have been trained on."""
    kept = {}

    def train_bundle(out: Path, train: LabelledFaces, validation: LabelledFaces, recipe, **_):
        kept.update(train=train, validation=validation)
        return {train.name: SCORES | {"n": len(validation)}}

    monkeypatch.setattr("moodspace.classifier.bundle.train.train_bundle", train_bundle)
    return kept


def train(*words):
    return CliRunner().invoke(app, ["train", *map(str, words), "--out", "unused"])


@pytest.fixture
def kaggle(tmp_path):
    write_folder(drawn_faces(70, seed=1), tmp_path / "office" / "train")
    write_folder(drawn_faces(14, seed=2), tmp_path / "office" / "test")
    return tmp_path / "office"


def test_train_says_what_it_holds_out_and_how_little_that_tells(trained, kaggle):
    done = train(kaggle)
    assert done.exit_code == 0, done.stderr
    assert done.stderr.splitlines() == [
        "held out 7 faces of split train for validation (10%, seed 0)",
        "63 faces to train on, 7 to validate on",
        "few faces to validate on (7): their accuracy says little, see the 95 % intervals",
    ]
    told = "office: head 50.0% (20-80), knn 50.0% (20-80), ensemble 50.0% (20-80) on 7 validation faces"
    assert done.stdout.startswith(told)


@pytest.mark.parametrize(
    ("words", "sizes"),
    [
        ([], (63, 7)),
        (["--validation-split", "test"], (70, 14)),
        (["--split", "test", "--validation-split", "train"], (14, 70)),
        (["--validation-split", "0.2"], (56, 14)),
        (["--validation-split", "20%"], (56, 14)),
    ],
)
def test_splits_are_chosen(trained, kaggle, words, sizes):
    assert train(kaggle, *words).exit_code == 0
    assert (len(trained["train"]), len(trained["validation"])) == sizes


def test_a_skipped_picture_is_named_and_counted_and_makes_exit_code_1(trained, kaggle):
    (kaggle / "train" / "happy" / "notes.txt").write_text("no picture")
    done = train(kaggle)
    assert done.exit_code == 1
    assert "skipped train/happy/notes.txt: expected" in done.stderr and "\n1 skipped\n" in done.stderr
    assert "wrote unused" in done.stdout


def test_one_class_is_refused(trained, tmp_path):
    write_folder(drawn_faces(12, seed=1, classes=("happy",)), tmp_path / "mine")
    done = train(tmp_path / "mine")
    assert (done.exit_code, done.stdout, trained) == (1, "", {})
    assert done.stderr.count("\n") == 1 and "two or more classes to train on, got 12 of happy" in done.stderr


def test_another_backend_is_refused_before_the_data_are_read(trained, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_BACKEND", "torch")
    done = train(tmp_path / "none")
    assert (done.exit_code, done.stdout) == (1, "")
    assert done.stderr == "error: KERAS_BACKEND: expected tensorflow or jax, got 'torch'; unset it to use tensorflow\n"


@pytest.mark.parametrize(("text", "value"), [(None, None), ("test", "test"), ("0.2", 0.2), ("25%", 0.25), ("5", 5.0)])
def test_a_split_or_a_share(text, value):
    assert split_or_share(text) == value


def test_evaluate_counts_the_faces_of_classes_that_the_bundle_lacks(run, shipped, tmp_path):
    faces = drawn_faces(14, seed=2)
    write_folder(faces, tmp_path / "faces")
    write_folder(drawn_faces(3, seed=3, classes=("contempt",)), tmp_path / "faces")
    (tmp_path / "faces" / "smug").mkdir()
    (tmp_path / "faces" / "contempt" / "00000.png").rename(tmp_path / "faces" / "smug" / "1.png")
    figures = json.loads(run("evaluate", tmp_path / "faces", "--labels", "fer2013", "--json").stdout)
    assert figures["n"] == 14
    assert figures["left_out"] == {"n": 3, "classes": {"contempt": 2, "smug": 1}, "unlabelled": 0}
    lines = run("evaluate", tmp_path / "faces", "--labels", "fer2013").stdout.splitlines()
    assert lines[0] == "14 faces, view fer2013, compared with the labels labels of the data"
    assert "classes are matched by name" in lines[1]
    assert lines[2].endswith("as the bundle has no such class or the face no label: 2 of contempt, 1 of smug")
    assert np.sum(figures["confusion"]) == 14
