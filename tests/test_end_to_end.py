"""From labelled pictures in folders to a bundle that predicts, by the command line alone, on drawn faces."""

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from cli import app
from tests.drawn_faces import drawn_faces, write_folder

QUICK = "batch=30 learning_rate=0.001 ema=0.9 dim=32 epochs=3 augment=false"


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(app, [str(word) for word in words])


def training(data: Path, out: Path) -> list[str | Path]:
    settings = [word for setting in QUICK.split() for word in ("--set", setting)]
    return ["train", data, "--out", out, "--arch", "cnn", "--no-keep-weights", *settings]


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("faces")
    write_folder(drawn_faces(210, seed=1), root / "train")
    write_folder(drawn_faces(70, seed=2), root / "validation")
    return root


@pytest.fixture(scope="module")
def bundle(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("bundles") / "drawn"
    done = run(*training(data, out), "--json")
    assert done.exit_code == 0, done.stderr
    assert list(json.loads(done.stdout)["validation"]) == [data.name]
    with (out.with_name("drawn.training") / "log.csv").open(newline="") as file:
        losses = [float(row["loss"]) for row in csv.DictReader(file)]
    assert len(losses) == 3
    assert losses[-1] < 0.8 * losses[0]
    return out


def test_what_was_trained_is_evaluated(data: Path, bundle: Path) -> None:
    done = run("evaluate", data, "--split", "validation", "--bundle", bundle, "--json")
    figures = json.loads(done.stdout)
    assert figures["n"] == 70
    assert figures["ensemble"]["accuracy"] >= max(figures["head"]["accuracy"], figures["knn"]["accuracy"]) - 1e-9
    assert np.sum(figures["confusion"]) == 70


def test_the_nearest_faces_are_of_the_gallery(data: Path, bundle: Path) -> None:
    picture = sorted((data / "validation" / "happy").iterdir())[0]
    done = run("predict", picture, "--crops", "--json", "--bundle", bundle)
    face = json.loads(done.stdout)["faces"][0]
    assert len(face["neighbors"]) == 3 or len(face["neighbors"]) == 5  # as many as voted, five at most
    for neighbor in face["neighbors"]:
        found = [
            path
            for path in (data / "train").rglob(Path(neighbor["source"]).name)
            if path.parent.name == neighbor["label"]
        ]
        assert found


def test_more_faces_are_learned_without_training(data: Path, bundle: Path, tmp_path: Path) -> None:
    before = (bundle / "manifest.json").read_bytes()
    told = run("index", data / "validation", "--crops", "--bundle", bundle, "--gallery", tmp_path, "--json")
    assert json.loads(told.stdout)["added"] == 70
    picture = sorted((data / "train" / "happy").iterdir())[0]
    run("teach", "--label", "confused", picture, "--crops", "--bundle", bundle, "--gallery", tmp_path)
    done = run("predict", picture, "--crops", "--json", "--bundle", bundle, "--gallery", tmp_path)
    assert json.loads(done.stdout)["faces"][0]["expression"] == "confused"
    assert (bundle / "manifest.json").read_bytes() == before


def test_a_second_training_is_refused_and_a_finished_one_resumes(data: Path, bundle: Path) -> None:
    before = (bundle / "manifest.json").read_bytes()
    refused = run(*training(data, bundle))
    assert refused.exit_code == 1
    assert "--resume" in refused.stderr
    assert (bundle / "manifest.json").read_bytes() == before
    assert run(*training(data, bundle), "--resume").exit_code == 0


def test_finish_bundles_the_best_weights_without_training(data: Path, bundle: Path) -> None:
    log = (bundle.with_name("drawn.training") / "log.csv").read_bytes()
    assert run(*training(data, bundle), "--finish").exit_code == 0
    assert (bundle.with_name("drawn.training") / "log.csv").read_bytes() == log


def test_finish_makes_a_smaller_bundle_in_8_bits(data: Path, bundle: Path, tmp_path: Path) -> None:
    small = tmp_path / "small"
    shutil.copytree(bundle.with_name("drawn.training"), tmp_path / "small.training")
    done = run(*training(data, small), "--finish", "--int8")
    assert done.exit_code == 0, done.stderr
    manifests = [json.loads((path / "manifest.json").read_text())["meta"]["training"] for path in (small, bundle)]
    assert [manifest["export_precision"] for manifest in manifests] == ["int8", "float16"]
    sizes = [(path / "encoder.tflite").stat().st_size for path in (small, bundle)]
    assert sizes[0] < 0.6 * sizes[1]
    scores = [run("evaluate", data, "--split", "validation", "--bundle", path, "--json") for path in (small, bundle)]
    accuracies = [json.loads(score.stdout)["head"]["accuracy"] for score in scores]
    assert accuracies[0] == pytest.approx(accuracies[1], abs=0.1)


def test_own_classes_train_with_one_head(tmp_path: Path) -> None:
    write_folder(drawn_faces(40, seed=3, classes=("happy", "contempt")), tmp_path / "own")
    (tmp_path / "own" / "contempt").rename(tmp_path / "own" / "smug")
    done = run(*training(tmp_path / "own", tmp_path / "mine"), "--json")
    assert done.exit_code == 0, done.stderr
    assert list(json.loads(done.stdout)["validation"]) == ["own"]
    done = run("predict", tmp_path / "own" / "smug", "--crops", "--json", "--bundle", tmp_path / "mine")
    face = json.loads(done.stdout.splitlines()[0])["faces"][0]
    assert set(face["probabilities"]) == {"happy", "smug"}


@pytest.mark.slow
def test_the_gallery_is_drawn(bundle: Path, tmp_path: Path) -> None:
    done = run("visualize", "--bundle", bundle, "--out", tmp_path)
    assert done.exit_code == 0, done.stderr
    assert (tmp_path / "map.png").stat().st_size > 10_000
    assert (tmp_path / "map.html").is_file()
    assert "map.npy" in json.loads((bundle / "manifest.json").read_text())["files"]
