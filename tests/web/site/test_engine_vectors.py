"""The browser engine's parts compute what Python's do: Node runs its unit tests on what Python wrote."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.web.site.vectors import browser_folder, vectors


def test_the_parts_of_the_engine_compute_what_python_does(tmp_path: Path) -> None:
    folder = browser_folder()
    node = shutil.which("node")
    if node is None or not (folder / "node_modules" / "esbuild").is_dir():
        pytest.skip("needs Node.js and the packages of web/browser: npm ci")
    file = tmp_path / "vectors.json"
    file.write_text(json.dumps(vectors()))
    environment = {**os.environ, "MOODSPACE_VECTORS": str(file)}
    ran = subprocess.run(
        [node, "test.mjs", "engine"], cwd=folder, env=environment, capture_output=True, text=True, timeout=300
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "# skipped 0" in ran.stdout, ran.stdout
