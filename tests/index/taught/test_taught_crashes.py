"""Tests of writers of the user's gallery that are killed at random moments, and of concurrent writers."""

from __future__ import annotations

import os
import re

import pytest

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs fork and signals")
SCRIPT = "taught_faults.py"


def test_kill_9_at_200_random_instants_of_writing(tmp_path, run_faults):
    told = run_faults(SCRIPT, "kill_at_random", tmp_path / "gallery", 200, 0)
    assert told["hit"] >= 100, "too few kills hit a change for this test to mean anything"
    assert told["generations"] >= 20
    assert told["faces"] > 0


def test_kill_9_while_a_gallery_is_made(tmp_path, run_faults):
    assert run_faults(SCRIPT, "kill_makers", tmp_path, 40, 0)["made"] >= 5


def test_kill_9_while_cells_are_built(tmp_path, run_faults):
    told = run_faults(SCRIPT, "kill_builders", tmp_path, 10, 0)
    assert told["hit"] >= 3
    assert told["right"] >= 0.97
    # A commit gives a file another name than the one it replaces: the last depends on how many came through.
    left = [re.sub("-[0-9a-f]{8}", "", name) for name in told["left"]]
    assert left == ["building.lock", "cells.faiss", "manifest.json"]


def test_two_writers_do_not_hurt_each_other(tmp_path, run_faults):
    told = run_faults(SCRIPT, "two_writers", tmp_path / "gallery", 60)
    assert told["problems"] == []
    assert told["labels"] == {"writer 0": 180, "writer 1": 180}
    assert told["generation"] == 120
    assert told["ids"] == 360
    assert told["turns"] >= 3, "one writer had finished before the other began"


def test_makers_of_the_same_gallery_agree(tmp_path, run_faults):
    told = run_faults(SCRIPT, "several_makers", tmp_path, 5)
    assert told["faces"] == [4] * 5


def test_a_snapshot_follows_another_process(tmp_path, run_faults):
    told = run_faults(SCRIPT, "updated", tmp_path / "gallery", 40)
    assert told["wrong"] == 0
    assert told["states"] == 40
