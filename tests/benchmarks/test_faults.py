"""The suite of faults: whole inputs are read, changes repeat, crashes and lost states are counted as faults."""

import json
import os
import random
import signal
from pathlib import Path
from typing import Any

import pytest

from benchmarks.faults import fuzz, kills
from benchmarks.faults.mutate import JSON, SQLITE, TEXT, mutate
from benchmarks.faults.outcome import Outcome, table
from benchmarks.faults.targets import TARGETS, check_line

pytestmark = pytest.mark.skipif(os.name == "nt", reason="needs fork and signals")

# Those whose seeds take no video, and all of whose seeds are whole.
QUICK = ["csv_faces", "faces_json", "gallery_file", "session_file", "session_json", "marks_csv", "mark_request"]


@pytest.mark.parametrize("name", [*QUICK, "baseline_json", "work_file", "training_log", "destination", "live_request"])
def test_a_target_reads_whole_inputs(name: str) -> None:
    target = TARGETS[name]
    read = [target.fuzz_one(seed) for seed in target.seeds()]
    # A lesson with a baseline of another machine, or an address without protection, may be refused: not all.
    assert any(read)


@pytest.mark.parametrize("kind", [JSON, TEXT, SQLITE, "bytes"])
def test_changes_repeat_for_a_seed_and_differ_between_seeds(kind: str) -> None:
    whole = TARGETS["session_file"].seeds()[0] if kind == SQLITE else b'{"name": "a", "time": [1, 2, 3]}'
    once, again = ([mutate(whole, kind, random.Random(seed)) for seed in range(8)] for _ in range(2))
    assert once == again and len(set(once)) > 3


@pytest.mark.parametrize("text", ["two\nlines expected", "no reason", "Traceback: expected"])
def test_a_refusal_that_is_no_clear_line_is_a_fault(text: str) -> None:
    with pytest.raises(Exception, match="expected one line"):
        check_line(text)
    check_line("a.json: expected a session, got another file")


def test_a_crash_is_a_fault_and_the_inputs_after_it_are_tried() -> None:
    def work(first: int, tell: Any) -> None:
        for number in range(first, 5):
            tell({"begins": number})
            if number == 1:
                os.kill(os.getpid(), signal.SIGKILL)
            tell({"number": number, "read": number == 2})

    outcome = Outcome("x")
    fuzz.watch(work, 5, outcome)
    assert (outcome.tried, outcome.landed) == (5, 3)
    assert outcome.faults == ["input 1: killed by signal 9"]


class Careless(kills.SettingsStore):
    """Writes in place, in two parts."""

    name = "careless"

    def write(self, number: int) -> None:
        path = self.folder / "rest.json"
        path.write_text(json.dumps({"frames": number}))
        for _ in range(20):
            path.write_text(json.dumps({"frames": number})[:5])
        path.write_text(json.dumps({"frames": number, "embedding": [number / 1e6] * 512}))


def test_kills_find_a_store_that_writes_in_place(tmp_path: Path) -> None:
    assert kills.kill_writer(Careless, 30, 0, tmp_path).faults
    sound = kills.kill_writer(kills.SettingsStore, 10, 0, tmp_path)
    assert sound.faults == [] and sound.landed >= 5
    assert "| kill -9: settings (resting face) | 10 |" in table([sound])
