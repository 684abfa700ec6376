"""Run tests as a processor would that rounds otherwise: `python -m tests.other_arithmetic [PYTEST_OPTIONS]`.

Without the widest instructions of this machine and on one thread, sums are taken in another order, so that results
differ in their last digits, as they do between processors. Runs the tests marked `numeric` unless the options name
others.
"""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

ROOT = Path(__file__).parents[1]
# numpy's groups with 512 bits, as numpy 2.4 and later and those before name them.
_WIDEST = ("X86_V4", "AVX512")


def environment(dispatched: Sequence[str]) -> dict[str, str]:
    """Return the variables that make numpy, faiss, TensorFlow, LiteRT and numba compute otherwise.

    OPENBLAS_CORETYPE is left as it is: a wrong one makes OpenBLAS fail. numpy is told of no group that it was not built
    for, nor of one in its baseline, as it would warn of the first and refuse the second.

    Args:
        dispatched: The groups of instructions that numpy chooses from on this machine.
    """
    widest = [name for name in dispatched if name.startswith(_WIDEST)]
    return {
        "NPY_DISABLE_CPU_FEATURES": " ".join(widest or dispatched),
        "FAISS_SIMD_LEVEL": "AVX2" if widest else "NONE",
        "TF_ENABLE_ONEDNN_OPTS": "0",
        "TF_NUM_INTRAOP_THREADS": "1",
        "TF_NUM_INTEROP_THREADS": "1",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "NUMBA_NUM_THREADS": "1",
    }


def dispatched_here() -> list[str]:
    """Return the groups of instructions beyond its baseline that numpy uses on this machine."""
    described: Mapping[str, Mapping[str, Sequence[str]]] = np.show_config(mode="dicts")  # type: ignore[assignment]
    return list(described["SIMD Extensions"].get("found", ()))


def main(arguments: Sequence[str]) -> int:
    """Run pytest in that environment; return its exit code."""
    changed = environment(dispatched_here())
    print(*(f"{name}={value!r}" for name, value in changed.items()), flush=True)
    options = ["-m", "numeric", *arguments] if "-m" not in arguments else list(arguments)
    return subprocess.run([sys.executable, "-m", "pytest", *options], cwd=ROOT, env=os.environ | changed).returncode


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
