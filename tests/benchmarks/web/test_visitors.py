"""Tests of benchmarks/web/visitors.py: what it makes of what the visitors got."""

import os
from pathlib import Path

import numpy as np
import pytest

from benchmarks.web.visitors import TARGETS, Visit, figures_of, resident


def test_the_figures_compare_the_best_served_with_the_worst():
    figures = figures_of([Visit([10.0] * 8, 1), Visit([20.0] * 4, 2), Visit([30.0] * 5)], 2.0, (100.0, 103.0), 5.5)
    assert (figures["frames_least"], figures["frames_most"], figures["fairness"]) == (4, 8, 2)
    assert (figures["frames_per_second"], figures["dropped"]) == (8.5, 3)
    assert (figures["round_trip_ms"], figures["round_trip_p95_ms"]) == (20, 30)
    assert figures["growth"] == pytest.approx(0.03) and figures["freed_s"] == 5.5


def test_who_got_nothing_has_starved():
    for others in ([], [10.0]):
        assert figures_of([Visit(others), Visit()], 1.0, (1.0, 1.0), 0.0)["fairness"] > TARGETS["fairness"]


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="expected /proc, as Linux has it")
def test_the_memory_is_read_in_megabytes():
    before = resident(os.getpid())
    held = np.ones(50_000_000, np.uint8)
    assert 45 < resident(os.getpid()) - before < 80
    assert held[-1] == 1
