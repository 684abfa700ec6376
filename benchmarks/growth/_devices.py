"""Train on several devices with `keras.distribution`: do the weights come out as on one?

XLA splits this machine's processor into as many devices as asked for. That shows whether the work is divided rightly;
it says nothing about speed, as the devices share the processor.
"""

import importlib.util
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from benchmarks.growth.curves import Curve
from benchmarks.results import ROOT

DEVICES = (1, 2, 4)
_FACES, _BATCH = 32, 16


def devices_curve() -> Curve | None:
    """Train the smallest encoder for an epoch on 1, 2 and 4 devices; None where JAX is not installed.

    Raises:
        RuntimeError: A training failed, or did not use the devices.
    """
    if importlib.util.find_spec("jax") is None:
        return None
    curve = Curve("devices", "training devices", "weights_difference", "largest difference of a weight")
    first: list[np.ndarray] = []
    for count in DEVICES:
        with tempfile.TemporaryDirectory(prefix="moodspace-") as folder:
            environment = os.environ | {
                "KERAS_BACKEND": "jax",
                "JAX_PLATFORMS": "cpu",
                "XLA_FLAGS": f"--xla_force_host_platform_device_count={count}",
            }
            command = [sys.executable, "-m", "benchmarks.growth._devices", folder]
            done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(f"{count} devices: {done.stderr.strip().splitlines()[-1]}")
            told = json.loads(done.stdout.splitlines()[-1])
            if told["devices"] != count:
                raise RuntimeError(f"expected {count} devices, got {told['devices']}")
            with np.load(Path(folder) / "weights.npz") as stored:
                weights = [stored[name] for name in stored.files]
        first = first or weights
        apart = max(float(np.abs(a - b).max()) for a, b in zip(first, weights, strict=True))
        curve.points.append({"at": count, "weights_difference": apart, "replicas": told["replicas"],
                             "validation_loss": told["validation_loss"]})  # fmt: skip
    return curve


def train(folder: Path) -> None:
    """Train on all devices, write the weights to `folder`, and print what was used."""
    import keras

    from moodspace.embeddings.data.labels import FER2013_CLASSES, targets_from_labels
    from moodspace.embeddings.training.fit import FaceTargets, train_encoder
    from moodspace.embeddings.training.recipe import recipe_for
    from moodspace.embeddings.training.trained import load_encoder

    def faces(seed: int) -> FaceTargets:
        rng = np.random.default_rng(seed)
        labels = np.arange(_FACES) % len(FER2013_CLASSES)
        crops = rng.integers(0, 256, (_FACES, 48, 48), np.uint8)
        return FaceTargets(crops, {"fer2013": targets_from_labels(labels, FER2013_CLASSES)})

    rows: list[dict[str, float]] = []
    recipe = recipe_for("cnn", epochs=1, batch=_BATCH, dim=16)
    train_encoder(faces(1), faces(2), recipe, folder / "a.training", report=lambda epoch, row: rows.append(dict(row)))
    trained = load_encoder(folder / "a.training")
    np.savez(folder / "weights.npz", *[np.asarray(one) for one in trained.get_weights()])
    used = keras.distribution.distribution()
    told = {
        "devices": len(keras.distribution.list_devices()),
        "replicas": 1 if used is None else int(np.prod(used.device_mesh.shape)),
        "validation_loss": round(float(rows[-1].get("loss", float("nan"))), 6),
    }
    print(json.dumps(told))


if __name__ == "__main__":
    train(Path(sys.argv[1]))
