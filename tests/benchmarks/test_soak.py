"""Tests of benchmarks/soak: what it reads of processes, its figures, and what makes it fail."""

import json
import math
import mmap
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from benchmarks.soak.__main__ import _mistakes, _stored
from benchmarks.soak.processes import Program, Sample, family, sample
from benchmarks.soak.report import BAR, count_figures, growth, program_figures, slope, table, verdict
from benchmarks.soak.traffic import Count, camera, clip_pictures
from moodspace.realtime.capture.files import open_source
from moodspace.realtime.session.recorder import SessionRecorder

linux = pytest.mark.skipif(not Path("/proc/self/smaps_rollup").exists(), reason="expected /proc, as Linux has it")


def samples(megabytes: list[float], every_s: float = 10.0) -> list[Sample]:
    return [Sample(number * every_s, size, size / 2, 10, 4) for number, size in enumerate(megabytes)]


def test_growth_is_from_the_end_of_the_warm_up_to_the_end() -> None:
    found = samples([50.0] * 10 + [100.0] * 45 + [103.0] * 45)
    assert growth(found, 100.0) == pytest.approx(0.03)
    assert growth(found, 0.0) == pytest.approx(1.06)  # without a warm-up, loading counts as growth
    assert growth(samples([100.0] * 50 + [100.0, 900.0] + [100.0] * 50), 0.0) == 0  # one outlier is no growth


def test_too_few_samples_have_no_growth() -> None:
    assert math.isnan(growth(samples([100.0] * 5), 0.0)) and math.isnan(slope(samples([100.0] * 5), 0.0))
    assert verdict({"live": {"growth": math.nan}}, []) == []


def test_the_slope_is_by_hour() -> None:
    assert slope(samples([100 + number / 10 for number in range(100)]), 0.0) == pytest.approx(36)


def test_a_leak_or_an_error_fails() -> None:
    leaking = {"live": program_figures(samples([100 + number / 10 for number in range(100)]), 0.0)}
    assert leaking["live"]["growth"] > BAR
    assert [line.split(":")[0] for line in verdict(leaking, ["web said: Traceback", "osc"])] == ["live", "2 errors"]
    steady = {"live": program_figures(samples([100.0, 101.0] * 50), 0.0)}
    assert verdict(steady, []) == []


def test_latencies_are_counted_after_the_warm_up() -> None:
    count = Count("ws", latencies_ms=[(1.0, 900.0), *((2.0 + number, float(number)) for number in range(101))])
    figures = count_figures(count, 2.0)
    assert (figures["p50_ms"], figures["p95_ms"], figures["p99_ms"]) == (50, 95, 99)
    assert "p50_ms" not in count_figures(Count("osc", got=3), 0.0)


@linux
def test_memory_files_and_threads_of_a_process_are_sampled(tmp_path: Path) -> None:
    before = sample(os.getpid(), 0.0)
    held = mmap.mmap(-1, 50_000_000)  # from the system, not from what the process has freed before
    np.frombuffer(held, np.uint8)[:] = 1
    ending = threading.Event()
    thread = threading.Thread(target=ending.wait)
    thread.start()
    with (tmp_path / "open").open("w"):
        after = sample(os.getpid(), 1.0)
    ending.set()
    thread.join()
    assert before is not None and after is not None and held[-1] == 1
    assert 40 < after.rss_mb - before.rss_mb < 80 and 40 < after.pss_mb - before.pss_mb < 80
    assert after.files - before.files >= 1 and after.threads - before.threads >= 1


@linux
def test_a_process_counts_with_those_it_started_and_not_after_its_end() -> None:
    code = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'input()'])"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE) as process:
        while len(family(process.pid)) < 2:
            time.sleep(0.01)
        one = sample(process.pid, 0.0)
        assert one is not None and one.threads >= 2
        process.communicate(b"\n")
    assert sample(process.pid, 1.0) is None


def test_what_a_program_says_while_it_runs_is_an_error() -> None:
    program = Program("live", "--version")
    with program:
        program.process.wait()
    assert _mistakes(program) == ["live: ended by itself with exit status 0"]
    program.told_to_stop = True
    assert _mistakes(program) == []
    program.said.running.append("camera 0 is lost")
    program.said.ending.append("ws://127.0.0.1:1: 3 sent")
    program.exit = 1
    assert _mistakes(program) == ["live said: camera 0 is lost", "live: expected exit status 130, got 1"]


def test_a_program_that_does_not_start_says_why() -> None:
    with (
        pytest.raises(SystemExit, match=r"live: expected it to start within 60 s, got: .*no-such-file"),
        Program("live", "live", "--headless", "--source", "no-such-file") as program,
    ):
        program.wait_for(lambda: False, 60.0)


def test_the_values_and_the_recording_are_looked_at(tmp_path: Path) -> None:
    with SessionRecorder(tmp_path / "sessions" / "one", classes=["happy"], source="camera 0"):
        pass
    values = tmp_path / "values.jsonl"
    values.write_text("".join(json.dumps({"frame": number}) + "\n" for number in (0, 1, 1)))
    recorded, _, mistakes = _stored(tmp_path, values, Count("ws", got=5))
    assert recorded > 0
    assert mistakes == [
        "values.jsonl: expected a frame after 1 in line 3, got 1", "values.jsonl: expected at least 5 lines, got 3",
        "the recording is empty",
    ]  # fmt: skip
    values.write_text('{"frame": 0}\n{"fra')
    assert _stored(tmp_path, values, Count("ws"))[2][0].startswith("values.jsonl: line 2: ")
    assert "recording: " in _stored(tmp_path / "sessions", values, Count("ws"))[2][1]


def test_the_camera_repeats_its_pictures() -> None:
    pictures = clip_pictures(None)[:3]
    with camera(pictures, 100.0) as address, open_source(address) as source:
        shapes = [frame.bgr.shape for frame, _ in zip(source, range(7), strict=False)]
    assert shapes == [(480, 640, 3)] * 7


def test_the_table_says_what_was_missed() -> None:
    figures = {"live": program_figures(samples([100.0] * 20), 0.0)}
    found = {
        "minutes": 1.0, "warm_minutes": 0.2, "load": 3.0, "recorded_mb": 1.0, "jsonl_mb": 2.0, "programs": figures,
        "traffic": {"ws": count_figures(Count("ws", got=7, latencies_ms=[(0.0, 12.0)]), 0.0)},
        "said_at_end": ["osc: 3 sent"], "errors": ["web said: no"] * 22, "missed": ["22 errors"],
    }  # fmt: skip
    text = table(found)
    assert "+0.0 %" in text and "12.0" in text and "and 2 more errors" in text and text.endswith("missed: 22 errors")
    assert table(found | {"errors": [], "missed": []}).endswith("met: no error, and memory within the bar")
