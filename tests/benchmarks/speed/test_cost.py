"""Tests of benchmarks/speed/cost.py by a clock of their own: no test depends on how fast the machine is."""

import json
import sys

import pytest

from benchmarks.speed import cost
from benchmarks.speed.cost import BATCHES, Cost, Stopwatch, measure, table
from tests.drawn_faces import drawn_faces
from tests.fake_encoder import fake_bundle


class Clock:
    """A clock that stands until it is moved."""

    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def slowed(owner, method, clock, seconds):
    """Make a method take `seconds` for each face, by the clock."""
    called = getattr(owner, method)

    def call(faces, *args, **kwargs):
        clock.now += seconds * len(faces)
        return called(faces, *args, **kwargs)

    setattr(owner, method, call)


@pytest.fixture
def bundle():
    return fake_bundle(drawn_faces(140, seed=1))


def test_a_stopwatch_sums_calls_and_starts_anew():
    class Owner:
        def work(self, faces):
            return list(faces)

    clock, owner = Clock(), Owner()
    slowed(owner, "work", clock, 2.0)
    watch = Stopwatch(owner, "work", clock)
    assert owner.work("abc") == ["a", "b", "c"]
    owner.work("d")
    assert watch.take() == 8.0
    assert watch.take() == 0.0


def test_a_stopwatch_counts_a_call_that_fails():
    class Owner:
        def work(self, faces):
            raise ValueError("no")

    clock, owner = Clock(), Owner()
    slowed(owner, "work", clock, 1.0)
    watch = Stopwatch(owner, "work", clock)
    with pytest.raises(ValueError, match="no"):
        owner.work("a")
    assert watch.take() == 1.0


def test_the_whole_is_split_into_its_parts(bundle):
    clock = Clock()
    slowed(bundle.encoder, "encode", clock, 0.003)
    slowed(bundle.index, "search", clock, 0.001)
    one, four = measure(bundle, batches=(1, 4), rounds=3, runs=5, clock=clock)
    assert one.p50_ms["encoder"] == pytest.approx([3.0] * 3)
    assert four.p50_ms["encoder"] == pytest.approx([12.0] * 3)
    assert four.p95_ms["search"] == pytest.approx([4.0] * 3)
    assert four.p50_ms["ensemble"] == pytest.approx([0.0] * 3, abs=1e-9)
    assert four.p50_ms["whole"] == pytest.approx([16.0] * 3)
    assert four.to_json()["whole_p50_ms_a_face"] == {"best": 4.0, "median": 4.0}


def test_best_and_median_round_are_told():
    rounds = {part: [4.0, 2.0, 9.0] for part in cost.PARTS}
    found = Cost(8, rounds, rounds)
    assert found.to_json()["p50_ms"]["whole"] == {"best": 2.0, "median": 4.0}
    assert found.to_json()["aim_ms_a_face"] == 3.0
    row = table([found]).splitlines()[2]
    assert row.startswith("| 8 | 2.00 / 4.00 |") and row.endswith("| 0.25 / 0.50 | 3.0 |")


@pytest.mark.parametrize("as_json", [False, True])
def test_the_command_prints_a_table_or_one_document(as_json, shipped, monkeypatch, capsys):
    words = ["--bundle", str(shipped), "--rounds", "1", "--runs", "2", *(["--json"] if as_json else [])]
    monkeypatch.setattr(sys, "argv", ["cost", *words])
    monkeypatch.setattr(cost, "WARM_UP", 0)
    cost.main()
    out = capsys.readouterr().out
    if as_json:
        document = json.loads(out)
        assert [row["faces"] for row in document["costs"]] == list(BATCHES)
        assert document["encoder_bytes"] == (shipped / "encoder.tflite").stat().st_size
        assert all(row["p50_ms"]["whole"]["best"] > 0 for row in document["costs"])
    else:
        assert len(out.splitlines()) == 2 + 2 + len(BATCHES)
