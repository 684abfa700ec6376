"""What `evaluate` prints, as text and as JSON, of the shipped bundle on a few drawn faces."""

import json

import pytest

from embeddings.labels import FER2013_CLASSES
from tests.drawn_faces import drawn_faces, write_folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "faces"
    write_folder(drawn_faces(14, seed=2), folder)
    return folder


def test_text_and_json_tell_the_same_figures(run, shipped, data):
    figures = json.loads(run("evaluate", data, "--labels", "fer2013", "--json").stdout)
    lines = run("evaluate", data, "--labels", "fer2013").stdout.splitlines()
    assert lines[0] == "14 faces, label set fer2013"
    names = ["head", "knn", "ensemble", "ensemble_without_twins", "surest faces", "without unknown", "embedding"]
    assert [line[2:26].strip() for line in lines[1:]] == names + list(FER2013_CLASSES)
    ensemble = " ".join(f" {name} {value:.4f}" for name, value in figures["ensemble"].items())
    assert lines[3].split() == ["ensemble", *ensemble.split()]
    coverage = figures["coverage"]
    surest = "  ".join(f"{value:.4f} at {share}" for share, value in coverage["accuracy_at"].items())
    assert lines[5].endswith(f"accuracy {surest}")
    assert coverage["accuracy_at"]["100%"] == pytest.approx(figures["ensemble"]["accuracy"])
    assert lines[6].endswith(f" at {coverage['known']:.1%}")
    recalls = [f"recall {row['recall']:.3f}" for row in figures["per_class"].values()]
    assert all(recall in line for recall, line in zip(recalls, lines[8:], strict=True))
    assert lines[7].split()[-1] == f"{figures['retrieval']['map_at_r']:.4f}"


def test_a_score_without_faces_is_a_dash(capsys):
    from cli import print_evaluation

    nothing = dict.fromkeys(("accuracy", "macro_f1", "ece", "nll"))
    scored = dict.fromkeys(("head", "knn", "ensemble", "ensemble_without_twins"), nothing)
    coverage = {"accuracy_at": {"100%": 0.5}, "known": 0.0, "known_accuracy": None}
    found = {"recall_at_1": None, "recall_at_5": None, "map_at_r": None}
    print_evaluation({"n": 2, "label_set": "mood", **scored, "retrieval": found, "coverage": coverage, "per_class": {}})

    lines = capsys.readouterr().out.splitlines()
    assert lines[4].split()[1:] == ["accuracy", "-", "macro_f1", "-", "ece", "-", "nll", "-"]
    assert lines[6].split("unknown")[1].split() == ["accuracy", "-", "at", "0.0%"]
