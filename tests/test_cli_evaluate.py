"""What `evaluate` prints, as text and as JSON, of the shipped bundle on a few drawn faces."""

import json

import pytest

from moodspace.embeddings.data.labels import FER2013_CLASSES
from tests.drawn_faces import drawn_faces, write_folder


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("drawn") / "faces"
    write_folder(drawn_faces(14, seed=2), folder)
    return folder


def test_text_and_json_tell_the_same_figures(run, shipped, data):
    figures = json.loads(run("evaluate", data, "--labels", "fer2013", "--json").stdout)
    lines = run("evaluate", data, "--labels", "fer2013").stdout.splitlines()
    assert lines[0] == "14 faces, view fer2013, compared with the labels fer2013 of the data"
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


def test_the_default_says_what_it_is_compared_with_and_why_it_scores_lower(run, shipped, data):
    told = run("evaluate", data).stdout
    first, *why = told.splitlines()[:4]
    assert first == "14 faces, view blend, a mix of fer2013 and ferplus, compared with the labels fer2013 of the data"
    words = " ".join(line.strip() for line in why)
    assert words.startswith(
        "These label many of the same faces differently, and the confidence is a compromise between them."
    )
    assert "Against fer2013 alone accuracy is lower and the calibration error (ece) higher" in words
    assert "14 faces, view fer2013, compared with the labels fer2013 of the data" in told
    assert "The data have no labels ferplus: classes are matched by name" in told


def test_plots_say_what_is_compared(run, shipped, data, tmp_path, monkeypatch):
    import moodspace.viz.evaluation_plots

    notes = []
    plot = moodspace.viz.evaluation_plots.new_figure
    monkeypatch.setattr(
        moodspace.viz.evaluation_plots, "new_figure", lambda *args: notes.append(args[3]) or plot(*args)
    )
    assert run("evaluate", data, "--plots", tmp_path / "plots").exit_code == 0
    assert len(notes) == 4
    said = "View blend, a mix of fer2013 and ferplus, compared with the labels fer2013 of the data."
    assert {note.split("\n")[-1] for note in notes} == {said}


def test_a_score_without_faces_is_a_dash(capsys):
    from moodspace.cli.training import print_evaluation

    nothing = dict.fromkeys(("accuracy", "macro_f1", "ece", "nll"))
    scored = dict.fromkeys(("head", "knn", "ensemble", "ensemble_without_twins"), nothing)
    coverage = {"accuracy_at": {"100%": 0.5}, "known": 0.0, "known_accuracy": None}
    found = {"recall_at_1": None, "recall_at_5": None, "map_at_r": None}
    figures = {"n": 2, "label_set": "mood", **scored, "retrieval": found, "coverage": coverage, "per_class": {}}
    print_evaluation(figures, ["view mood, compared with the labels mood of the data"])

    lines = capsys.readouterr().out.splitlines()
    assert lines[4].split()[1:] == ["accuracy", "-", "macro_f1", "-", "ece", "-", "nll", "-"]
    assert lines[6].split("unknown")[1].split() == ["accuracy", "-", "at", "0.0%"]


def test_a_prior_changes_what_is_predicted_and_a_wrong_one_is_one_line(run, shipped, data, tmp_path):
    def happy(*options):
        rows = json.loads(run("evaluate", data, "--labels", "fer2013", "--json", *options).stdout)["confusion"]
        return sum(row[FER2013_CLASSES.index("happy")] for row in rows)

    prior = tmp_path / "prior.json"
    prior.write_text(json.dumps({name: 1000 if name == "happy" else 1 for name in FER2013_CLASSES}))
    assert happy("--prior", prior) > happy()
    assert happy("--prior", "data") == happy()
    balanced = run("evaluate", data, "--prior", "balanced")
    assert balanced.exit_code == 0 and "view ferplus" in balanced.stdout
    every = run("evaluate", data, "--prior", prior)
    assert every.exit_code == 0 and "view ferplus" not in every.stdout
    wrong = run("evaluate", data, "--prior", "even")
    assert wrong.exit_code == 1
    assert "prior: expected balanced, data or a JSON file, got 'even'" in wrong.stderr
