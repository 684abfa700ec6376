"""Each benchmark command runs for a few seconds on tiny data and prints figures; `.ci/run` asks for these tests.

Whether a target is met is not looked at: that is for an idle machine, and what a missed one exits with, 1, passes.
"""

import importlib
import json
import re
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from benchmarks.results import ROOT, benchmark_modules, module_name
from moodspace.classifier.bundle.bundle import load_bundle, update_bundle
from moodspace.embeddings.data.labels import FERPLUS_CLASSES
from moodspace.embeddings.pictures import read_rgb
from tests.drawn_faces import drawn_faces, plain_faces, write_folder, write_parquet

pytestmark = [pytest.mark.benchmark, pytest.mark.slow]

# It puts stand-ins into the process that it runs in, so it cannot share one; `test_faults.py` tests its parts.
COMMANDS = [name for name in benchmark_modules() if name != "faults"]

Arguments = list[object]


@pytest.fixture(scope="module")
def voted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces with FER+ votes, contempt among them."""
    path = tmp_path_factory.mktemp("voted") / "validation.parquet"
    write_parquet(drawn_faces(64, seed=1, classes=tuple(sorted(FERPLUS_CLASSES)), votes=True), path)
    return path


@pytest.fixture(scope="module")
def seven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Drawn faces of FER2013's classes."""
    path = tmp_path_factory.mktemp("seven") / "validation.parquet"
    write_parquet(drawn_faces(14, seed=1), path)
    return path


@pytest.fixture(scope="module")
def few(shipped: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The shipped bundle with 12 of its faces, so few that their map needs no UMAP."""
    path = shutil.copytree(shipped, tmp_path_factory.mktemp("few") / "bundle")
    gallery = load_bundle(path).index.gallery.take(np.arange(12))
    update_bundle(path, gallery=gallery, map_coordinates=gallery.embeddings[:, :2].copy())
    return path


def ablation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arguments:
    import keras

    from moodspace.embeddings.data.labels import targets_from_labels
    from moodspace.embeddings.training import trained
    from moodspace.embeddings.training.fit import FaceTargets, train_encoder
    from moodspace.embeddings.training.recipe import recipe_for

    def network() -> keras.Model:
        crops = keras.Input((48, 48, 1), name="crops")
        return keras.Model(crops, keras.layers.Flatten()(crops))

    monkeypatch.setitem(trained.BACKBONES, "cnn", network)
    parts = {"train": plain_faces(28, seed=1), "validation": plain_faces(28, seed=2)}
    for name, faces in parts.items():
        write_folder(faces, tmp_path / "data" / name)
    train, validation = (
        FaceTargets(one.crops, {"fer2013": targets_from_labels(one.labels, one.classes)}) for one in parts.values()
    )
    train_encoder(train, validation, recipe_for("cnn", epochs=1, batch=14, dim=8), tmp_path / "tiny.training")
    return [tmp_path / "data", tmp_path / "tiny.training", "--json"]


def browser(voted: Path) -> Arguments:
    from moodspace.web.site.write import BUILT

    if not (BUILT / "index.html").is_file():
        pytest.skip("needs the built pages of the static site: make site")
    return ["--faces", voted, "--seconds", 2, "--minutes", 0.02, "--json"]


def crop_geometry(tmp_path: Path, astronaut: Path) -> Arguments:
    (tmp_path / "happy").mkdir()
    face = Image.fromarray(read_rgb(astronaut)[20:220, 120:320]).convert("L").resize((48, 48))
    face.save(tmp_path / "happy" / "one.png")
    return [tmp_path, "--count", 1, "--bundle", "bundles/fer2013"]


def fairness(tmp_path: Path, astronaut: Path) -> Arguments:
    folder, *_ = crop_geometry(tmp_path, astronaut)
    return [folder, "--json"]


def map_page(tmp_path: Path) -> Arguments:
    from benchmarks.web.map_page import synthetic
    from moodspace.viz.map.page import write_page

    write_page(synthetic(200), tmp_path / "map.html")
    return [tmp_path / "map.html", "--json"]


def peers(voted: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Arguments:
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" "$@"\n')
    python.chmod(0o755)
    monkeypatch.setattr("benchmarks.peers.environments.make_environment", lambda name, wanted, place: tmp_path)
    return [voted, "--only", "Moodspace", "--limit", 4, "--rounds", 1, "--no-sides", "--json"]


def arguments_of(command: str, request: pytest.FixtureRequest) -> Arguments:
    """Return the command's arguments; makes what they name."""
    made: dict[str, Callable[[], Arguments]] = {
        "ablation": lambda: ablation(*map(request.getfixturevalue, ("tmp_path", "monkeypatch"))),
        "baseline": lambda: ["--faces", request.getfixturevalue("voted"), "--people", 2, "--json"],
        "browser": lambda: browser(request.getfixturevalue("voted")),
        "compressed": lambda: ["--faces", 1000, "--bytes", 4, "--json"],
        "confidence": lambda: [request.getfixturevalue("voted"), "--limit", 2, "--labels", "blend", "--json"],
        "corruptions": lambda: [request.getfixturevalue("voted"), "--bundle", "bundles/fer2013", "--limit", 4],
        "cost": lambda: ["--bundle", "bundles/fer2013", "--rounds", 1, "--runs", 2, "--json"],
        "crop_geometry": lambda: crop_geometry(*map(request.getfixturevalue, ("tmp_path", "astronaut"))),
        "ensemble_curve": lambda: [request.getfixturevalue("voted"), "--bundle", "bundles/fer2013", "--json"],
        "fairness": lambda: fairness(*map(request.getfixturevalue, ("tmp_path", "astronaut"))),
        "first_label": lambda: ["--clip", request.getfixturevalue("clip"), "--rounds", 1, "--json"],
        "gallery_scale": lambda: ["--faces", 2000, "--json"],
        "growth": lambda: ["faces", "gallery", "--quick", "--largest", 1000, "--json",
                           "--out", request.getfixturevalue("tmp_path") / "growth.jsonl"],
        "hold": lambda: [request.getfixturevalue("clip"), "0-0.5", "--seconds", 0.2, "--old",
                         request.getfixturevalue("voted"), "--json"],
        "latency": lambda: ["--seconds", 1, "--fps", 30, "--real"],
        "live": lambda: [request.getfixturevalue("clip"), "--rounds", 1, "--json"],
        "map": lambda: ["--bundle", request.getfixturevalue("few")],
        "map_page": lambda: map_page(request.getfixturevalue("tmp_path")),
        # What mutmut needs is not installed with the tests.
        "mutation": lambda: ["index", "--report", "--stage", request.getfixturevalue("tmp_path"), "--json"],
        "occlusion": lambda: [request.getfixturevalue("voted"), "--limit", 8],
        "peers": lambda: peers(
            request.getfixturevalue("seven"), *map(request.getfixturevalue, ("tmp_path", "monkeypatch"))
        ),
        "memory": lambda: [request.getfixturevalue("clip"), "--minutes", 6, "--minute-s", 1],
        "soak": lambda: ["--minutes", 0.1, "--fps", 4, "--visitors", 1, "--json"],
        "sinks": lambda: ["--seconds", 1, "--fps", 10, "--json"],
        "pipeline": lambda: ["compare", ROOT, request.getfixturevalue("clip"), "--faces", 1, "--rounds", 1,
                          "--frames", 2, "--json"],
        "sync": lambda: ["--files", 20, "--workers", 1],
        "targets": lambda: ["class_names", request.getfixturevalue("clip")],
        "teach": lambda: [request.getfixturevalue("voted"), "--examples-from", request.getfixturevalue("voted"),
                          "--labels", "fer2013", "--faces", 1, "--trials", 1, "--json"],
        "visitors": lambda: ["--visitors", 2, "--heavy", 1, "--fps", 2, "--seconds", 3, "--json"],
        "videos": lambda: [request.getfixturevalue("clip"), "--copies", 2, "--hours", 0.001, "--workers", 1],
        "web_live": lambda: ["--seconds", 2, "--json"],
    }  # fmt: skip
    assert command in made, f"{command}: expected its arguments here, found none"
    return made[command]()


@pytest.mark.parametrize("command", COMMANDS)
def test_it_runs_and_prints_figures(
    command: str,
    shipped: Path,
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    words = [str(word) for word in arguments_of(command, request)]
    monkeypatch.chdir(ROOT)
    monkeypatch.setattr(sys, "argv", [f"{command}.py", *words])
    capfd.readouterr()
    try:
        importlib.import_module(module_name(benchmark_modules()[command])).main()
    except SystemExit as end:
        # True stands for a missed target; visits tell in words which.
        assert end.code in (None, 0, 1, False, True) or str(end.code).startswith("missed: "), end.code
    printed = capfd.readouterr().out
    assert re.search(r"\d", printed)
    if "--json" in words:
        for line in [printed] if printed.startswith(("{\n", "[\n")) else printed.splitlines():
            json.loads(line)
