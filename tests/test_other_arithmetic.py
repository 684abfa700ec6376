"""The second run of the numeric tests really computes otherwise, and starts on every processor."""

import os
import subprocess
import sys

import pytest

from tests.other_arithmetic import dispatched_here, environment

SUM = """
import warnings
warnings.simplefilter("error")
import numpy as np, faiss
print(np.show_config(mode="dicts")["SIMD Extensions"].get("found", []), faiss.omp_get_max_threads())
"""


def test_numpy_leaves_out_what_it_is_told_to_without_a_word() -> None:
    changed = environment(dispatched_here())
    done = subprocess.run([sys.executable, "-c", SUM], env=os.environ | changed, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert not [name for name in changed["NPY_DISABLE_CPU_FEATURES"].split() if repr(name) in done.stdout]
    assert done.stdout.endswith(" 1\n")


@pytest.mark.parametrize(
    ("dispatched", "left_out", "faiss"),
    [
        (["X86_V3", "X86_V4", "AVX512_ICL"], "X86_V4 AVX512_ICL", "AVX2"),
        (["SSE41", "AVX2", "AVX512F", "AVX512_SKX"], "AVX512F AVX512_SKX", "AVX2"),
        (["X86_V3"], "X86_V3", "NONE"),  # an AMD EPYC without AVX-512
        (["ASIMDHP", "ASIMDDP"], "ASIMDHP ASIMDDP", "NONE"),
        ([], "", "NONE"),
    ],
)
def test_only_what_a_machine_has_is_left_out(dispatched: list[str], left_out: str, faiss: str) -> None:
    changed = environment(dispatched)
    assert changed["NPY_DISABLE_CPU_FEATURES"] == left_out and changed["FAISS_SIMD_LEVEL"] == faiss
    assert "OPENBLAS_CORETYPE" not in changed


def test_the_check_of_a_commit_makes_that_run() -> None:
    from tests.other_arithmetic import ROOT

    assert "-m tests.other_arithmetic" in (ROOT / ".ci" / "run").read_text()
