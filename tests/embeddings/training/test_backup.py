"""Weights on a full disk: one error line, and neither the process nor the old file is lost."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest

# The largest file that this process may write stands for the room on the disk.
FULL = r"""
import os, resource, signal, sys
from pathlib import Path
import keras
from moodspace.embeddings.training.callbacks import write_weights

path = Path(sys.argv[1])
model = keras.Sequential([keras.Input((50,)), keras.layers.Dense(1000)])
write_weights(path, model)
before = path.read_bytes()
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (65536, resource.RLIM_INFINITY))
model.set_weights([weights + 1 for weights in model.get_weights()])
try:
    write_weights(path, model)
except OSError as error:
    assert error.filename == str(path), error
else:
    raise SystemExit("no error")
assert path.read_bytes() == before and os.listdir(path.parent) == [path.name]
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
write_weights(path, model)
wanted = model.get_weights()
model.set_weights([weights * 0 for weights in wanted])
model.load_weights(path)
assert all((one == other).all() for one, other in zip(model.get_weights(), wanted))
print("well")
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process")
def test_a_full_disk_while_weights_are_written(tmp_path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "best.weights.h5")], cwd=Path(__file__).parents[3],
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip
    assert ran.returncode == 0 and ran.stdout.strip() == "well", ran.stderr[-2000:]


def test_a_file_that_cannot_be_written_leaves_the_old_one_and_no_part(tmp_path: Path) -> None:
    from moodspace.embeddings.files.names import write_whole

    path = tmp_path / "log.csv"
    path.write_text("old")

    def half(file: Path) -> None:
        file.write_text("ne")
        raise OSError(errno.ENOSPC, "No space left on device")

    with pytest.raises(OSError, match=r"No space left on device: .*log\.csv"):
        write_whole(path, half)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
