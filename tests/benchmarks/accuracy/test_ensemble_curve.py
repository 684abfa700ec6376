"""Tests of ensemble_curve: its points are those of the evaluation, on a bundle without a network."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

from benchmarks.accuracy import ensemble_curve
from benchmarks.accuracy.ensemble_curve import describe, gather, measure
from moodspace.classifier.evaluation import evaluate
from moodspace.classifier.fitting import ALPHA_GRID, K_GRID, TAU_GRID
from tests.drawn_faces import drawn_faces, write_parquet
from tests.fake_encoder import fake_bundle

pytestmark = pytest.mark.numeric


@pytest.fixture(scope="module")
def bundle():
    return fake_bundle(drawn_faces(140, seed=1, votes=True))


@pytest.fixture(scope="module")
def faces():
    return drawn_faces(70, seed=2, votes=True)


@pytest.fixture(scope="module")
def curves(bundle, faces):
    return {name: measure(name, found, bundle.calibrations[name]) for name, found in gather(bundle, faces).items()}


@pytest.mark.parametrize("label_set", ["fer2013", "ferplus"])
def test_each_point_is_what_evaluate_reads_with_those_values(bundle, faces, curves, label_set):
    def read(**values):
        changed = {name: replace(fitted, **values) for name, fitted in bundle.calibrations.items()}
        return evaluate(replace(bundle, calibrations=changed), faces, label_set)

    def same(found, expected):
        np.testing.assert_allclose(list(found.to_json().values()), list(expected.to_json().values()), atol=1e-5)

    found = curves[label_set]
    assert found.faces == read().n
    same(found.head, read().head)
    same(found.knn, read().knn)
    for alpha in (0.0, 0.35, 1.0):
        same(found.over_alpha[alpha], read(alpha=alpha).ensemble)
    for k in (3, 50):
        same(found.over_k[k], read(k=k).ensemble)
        assert found.votes[k][4] == pytest.approx(read(k=k, tau=float(TAU_GRID[4])).knn.accuracy)


def test_the_ends_of_alpha_are_the_witnesses(curves):
    for found in curves.values():
        assert found.over_alpha[1.0].accuracy == found.head.accuracy
        assert found.over_alpha[0.0].accuracy == found.knn.accuracy
        assert found.over_alpha[0.5] != found.head


def test_markdown_has_a_row_for_each_point(curves):
    lines = describe(curves["fer2013"]).splitlines()
    assert lines[0] == "### `fer2013`, 70 faces; fitted: alpha 0.50, tau 0.100, k 10"
    rows = [line for line in lines if line.startswith("| ")]
    # Two witnesses; a header and a rule for each of three tables.
    assert len(rows) == 2 + len(ALPHA_GRID) + 2 * len(K_GRID) + 3 * 2
    assert {line.count("|") for line in rows} == {6, len(TAU_GRID) + 2}
    assert f"| {100 * curves['fer2013'].head.accuracy:.2f} |" in rows[2]


@pytest.mark.parametrize("as_json", [True, False])
def test_the_program_prints_one_document(bundle, faces, curves, tmp_path, monkeypatch, capsys, as_json):
    write_parquet(faces, tmp_path / "faces.parquet")
    monkeypatch.setattr(ensemble_curve, "load_bundle", lambda path: bundle)
    line = ["ensemble_curve", str(tmp_path / "faces.parquet"), "--bundle", "b", *(["--json"] if as_json else [])]
    monkeypatch.setattr(sys, "argv", line)
    ensemble_curve.main()
    printed = capsys.readouterr().out
    if not as_json:
        assert printed == "\n\n".join(describe(found) for found in curves.values()) + "\n"
        return
    document = json.loads(printed)
    assert [part["label_set"] for part in document] == ["fer2013", "ferplus"]
    assert [point["alpha"] for point in document[0]["over_alpha"]] == pytest.approx(ALPHA_GRID)
    assert document[0]["votes"]["accuracy_by_k"].keys() == {str(k) for k in K_GRID}
