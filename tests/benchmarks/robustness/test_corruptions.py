"""Tests of benchmarks/robustness/corruptions.py: readings, means and table, on a bundle without a network."""

import functools
import json
import sys
from dataclasses import replace

import pytest

from benchmarks.robustness import corruptions, webcam
from benchmarks.robustness.corruptions import Reading, mean_over_kinds, measure, table_head, table_row, to_json
from benchmarks.robustness.webcam import Corruption
from moodspace.classifier.evaluation import evaluate
from tests.drawn_faces import drawn_faces, write_parquet
from tests.fake_encoder import fake_bundle

pytestmark = pytest.mark.numeric

NOISE = tuple(Corruption("noise", f"{s}", functools.partial(webcam.noise, deviation=s)) for s in (1, 300))


@pytest.fixture(scope="module")
def bundle():
    return fake_bundle(drawn_faces(140, seed=1, votes=True))


@pytest.fixture(scope="module")
def faces():
    return drawn_faces(70, seed=2, votes=True)


def test_readings_are_those_of_evaluate(bundle, faces):
    clean, weak, strong = measure(bundle, faces, ["fer2013", "ferplus"], corruptions=NOISE, seed=5)
    assert (clean.kind, weak.severity, strong.severity) == ("clean", "1", "300")
    changed = replace(faces, crops=NOISE[1].apply(faces.crops, 5))
    for name in ("fer2013", "ferplus"):
        assert clean.accuracy[name] == evaluate(bundle, faces, name).ensemble.accuracy
        assert strong.accuracy[name] == evaluate(bundle, changed, name).ensemble.accuracy
        assert strong.ece[name] == pytest.approx(evaluate(bundle, changed, name).ensemble.ece)
        assert strong.accuracy[name] < weak.accuracy[name] - 0.1


def test_the_mean_counts_each_kind_once():
    def reading(kind, accuracy):
        return Reading(kind, "", {"a": accuracy}, {"a": accuracy / 10})

    mean = mean_over_kinds([reading("blur", 0.2), reading("blur", 0.4), reading("dark", 0.9)])
    assert mean.accuracy["a"] == pytest.approx(0.6)
    assert mean.ece["a"] == pytest.approx(0.06)


def test_a_row_tells_percent_and_points_lost():
    clean = Reading("clean", "", {"a": 0.75, "b": 0.9}, {"a": 0.01, "b": 0.02})
    blurred = Reading("blur", "2 px", {"a": 0.7, "b": 0.91}, {"a": 0.05, "b": 0.02})
    head = table_head(["a", "b"]).splitlines()
    assert head[0] == "| corruption | severity | `a` | drop | `b` | drop |"
    assert head[1].count("|") == head[0].count("|")
    assert table_row(clean, clean) == "| clean |  | 75.0 |  | 90.0 |  |"
    assert table_row(blurred, clean) == "| blur | 2 px | 70.0 | 5.0 | 91.0 | -1.0 |"
    assert to_json(blurred, clean)["drop_points"] == {"a": 5.0, "b": -1.0}


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_prints_a_table_or_one_document(as_json, bundle, faces, tmp_path, monkeypatch, capsys):
    write_parquet(faces, tmp_path / "faces.parquet")
    monkeypatch.setattr(corruptions, "load_bundle", lambda path: bundle)
    monkeypatch.setattr(corruptions, "measure", functools.partial(measure, corruptions=NOISE))
    words = [str(tmp_path / "faces.parquet"), "--bundle", "b", "--limit", "40", *(["--json"] if as_json else [])]
    monkeypatch.setattr(sys, "argv", ["corruptions", *words])
    corruptions.main()
    out = capsys.readouterr().out
    if as_json:
        document = json.loads(out)
        assert document["faces"] == 40
        assert [row["kind"] for row in document["readings"]] == ["clean", "noise", "noise", "mean over kinds"]
        assert list(document["readings"][0]["accuracy_percent"]) == ["fer2013", "ferplus", "blend"]
    else:
        assert out.startswith("40 faces\n\n| corruption |")
        assert len(out.splitlines()) == 2 + 2 + 4
