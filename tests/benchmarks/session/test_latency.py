"""Tests of benchmarks/session/latency.py: ages are summed up rightly, and the parts fit together in a short run."""

import json
import sys

import numpy as np
import pytest

from benchmarks.session import latency
from benchmarks.session.latency import Ages, summary
from benchmarks.session.time_code import CodedSource, write_code


def test_all_young_pictures_meet_the_target():
    found = summary([0.02, 0.04, 0.06], 0, 50)
    assert found == {
        "shown": 3,
        "unread": 0,
        "target_ms": 120.0,
        "median_ms": 40.0,
        "p95_ms": 58.0,
        "p99_ms": 59.6,
        "max_ms": 60.0,
        "late": 0,
        "met": True,
    }


@pytest.mark.parametrize(
    ("ages", "unread", "late"),
    [([0.02, 0.121], 0, 1), ([0.02, 0.12], 1, 0), ([], 0, None)],
)
def test_one_old_or_unread_picture_misses_it(ages, unread, late):
    found = summary(ages, unread, 50)
    assert not found["met"]
    assert found.get("late") == late


def test_ages_are_counted_after_the_warm_up():
    now = [0.0]
    source = CodedSource([], 10, 9, lambda: now[0])
    ages = Ages(source, 2.0, lambda: now[0])
    picture = np.zeros((480, 640, 3), np.uint8)
    for at in (1.0, 2.5, 3.0):
        now[0] = at
        write_code(picture, 10 * int(at))
        ages.look(picture)
    picture[:] = 0
    ages.look(picture)
    assert ages.seconds == pytest.approx([0.5, 0.0])
    assert ages.unread == 1


def test_a_short_run_prints_what_it_found(monkeypatch, capsys):
    arguments = ["--seconds", "0.3", "--fps", "100", "--warm-up", "0", "--slow", "1", "2"]
    monkeypatch.setattr(sys, "argv", ["latency", *arguments])
    with pytest.raises(SystemExit) as ended:
        latency.main()
    found = json.loads(capsys.readouterr().out)
    assert found["shown"] > 0
    assert found["unread"] == 0
    assert ended.value.code == (not found["met"])
