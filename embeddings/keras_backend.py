"""Makes sure that Keras can be used before it is imported, and that it is quiet; imports none of it."""

import importlib.util
import json
import os
from pathlib import Path

_BACKENDS = ("tensorflow", "jax")


class BackendError(ValueError):
    """Keras, or what it computes with, is missing or cannot be used."""


def prepare_keras() -> None:
    """Check Keras and its backend, and quieten TensorFlow, whose native log would break progress bars.

    `TF_CPP_MIN_LOG_LEVEL`, where it is set, stays as it is.

    Raises:
        BackendError: Keras would compute with something that it cannot be trained with here, or that is not installed.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    backend, where = _backend()
    if backend not in _BACKENDS:
        raise BackendError(f"{where}: expected {' or '.join(_BACKENDS)}, got {backend!r}; unset it to use tensorflow")
    # JAX trains without TensorFlow; the export, which takes it, can follow elsewhere.
    for module in ("keras", backend):
        if importlib.util.find_spec(module) is None:
            raise BackendError(
                f"training needs {module}, got no module of that name (KERAS_BACKEND: {backend}, "
                "one of tensorflow and jax); pip install -r requirements/all.txt"
            )


def _backend() -> tuple[str, str]:
    """Return what Keras will compute with, and what says so: the environment before Keras's file."""
    if named := os.environ.get("KERAS_BACKEND"):
        return named, "KERAS_BACKEND"
    home = Path(os.environ.get("KERAS_HOME") or Path.home() / ".keras")
    try:
        named = json.loads((home / "keras.json").read_text(encoding="utf-8")).get("backend")
    except (OSError, ValueError, AttributeError):
        named = None
    return (str(named), f"backend in {home / 'keras.json'}") if named else ("tensorflow", "KERAS_BACKEND")
