"""Tests of embeddings/training/backend.py: one clear line where Keras cannot be used; Keras itself is not imported."""

import json
from pathlib import Path

import pytest

from moodspace.embeddings.training import backend as keras_backend
from moodspace.embeddings.training.backend import BackendError, prepare_keras


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("TF_CPP_MIN_LOG_LEVEL", "3")
    monkeypatch.setattr(keras_backend.importlib.util, "find_spec", lambda name: None if name in GONE else object())
    GONE.clear()


GONE: set[str] = set()


@pytest.mark.parametrize("backend", ["", "tensorflow", "jax"])
def test_what_can_be_used(monkeypatch: pytest.MonkeyPatch, backend: str) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    prepare_keras()


@pytest.mark.parametrize("backend", ["torch", "openvino", "numpy", "Tensorflow "])
@pytest.mark.parametrize("in_file", [False, True])
def test_other_backends_are_refused_by_name(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, backend: str, in_file: bool
) -> None:
    if in_file:
        (tmp_path / "keras.json").write_text(json.dumps({"backend": backend}))
    else:
        monkeypatch.setenv("KERAS_BACKEND", backend)
    where = "keras.json" if in_file else "KERAS_BACKEND"
    with pytest.raises(BackendError, match=rf"{where}.*: expected tensorflow or jax, got '{backend}'"):
        prepare_keras()


def test_the_environment_comes_before_the_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "keras.json").write_text('{"backend": "torch"}')
    monkeypatch.setenv("KERAS_BACKEND", "tensorflow")
    prepare_keras()


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"backend": null}', "no json"])
def test_a_file_that_names_none_is_ignored(tmp_path: Path, text: str) -> None:
    (tmp_path / "keras.json").write_text(text)
    prepare_keras()


@pytest.mark.parametrize(("backend", "module"), [("jax", "keras"), ("jax", "jax"), ("tensorflow", "tensorflow")])
def test_what_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch, backend: str, module: str) -> None:
    monkeypatch.setenv("KERAS_BACKEND", backend)
    GONE.add(module)
    with pytest.raises(BackendError, match=rf"training needs {module}, .*tensorflow and jax.*requirements/all\.txt"):
        prepare_keras()


def test_jax_trains_without_tensorflow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    GONE.add("tensorflow")
    prepare_keras()
