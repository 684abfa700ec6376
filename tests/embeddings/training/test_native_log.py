"""Tests of embeddings.training.backend.native_log_filtered, in a process whose stderr is its own."""

import subprocess
import sys
from pathlib import Path

import pytest

WRITE = r"""
import os, sys
from moodspace.embeddings.training.backend import native_log_filtered

TALK = b'''WARNING: All log messages before absl::InitializeLog() is called are written to STDERR
I0000 00:00:1795871420.958847   25295 port.cc:153] oneDNN custom operations are on.
E0000 00:00:1795870964.486634   17197 cuda_platform.cc:52] failed call to cuInit
2026-11-28 13:00:00.123456: W tensorflow/core/x.cc:1] something
To enable the following instructions: AVX2, in other operations, rebuild TensorFlow.
INFO: Created TensorFlow Lite XNNPACK delegate for CPU.
a library's own complaint
'''
before = sys.stderr
try:
    with native_log_filtered():
        os.write(2, TALK)
        sys.stderr.write("from Python\n")
        raise SystemExit(3)
finally:
    assert sys.stderr is before
    os.write(2, b"I0000 00:00:1.0 1 a.cc:1] afterwards\n")
"""


@pytest.mark.parametrize("level", ["3", "0"])
def test_chatter_is_left_out_and_the_rest_passed_on(level: str) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", WRITE], cwd=Path(__file__).parents[3], capture_output=True, text=True, check=False,
        env={"PATH": "", "TF_CPP_MIN_LOG_LEVEL": level}, timeout=60,
    )  # fmt: skip
    lines = ran.stderr.splitlines()
    assert ran.returncode == 3, ran.stderr
    if level == "3":
        own = {"from Python", "a library's own complaint", "I0000 00:00:1.0 1 a.cc:1] afterwards"}
        assert set(lines) == own and lines[-1].endswith("afterwards")
    else:
        assert len(lines) == 9
