"""The environments of the packages: made once under `build/peers`, with the pinned versions of `peers.toml`."""

import json
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

from benchmarks.results import git

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
PLACE = ROOT / "build" / "peers"


def settings() -> dict[str, Any]:
    """Return `peers.toml`: the list `peer` and the table `environment`."""
    return tomllib.loads((HERE / "peers.toml").read_text(encoding="utf-8"))


def make_environment(name: str, wanted: dict[str, Any]) -> Path:
    """Make an environment unless it is there with the wanted packages; return its folder.

    Raises:
        subprocess.CalledProcessError: A package cannot be installed.
    """
    folder, note = PLACE / name, PLACE / f"{name}.json"
    mark = json.dumps(
        wanted | ({"commit": git("rev-parse", "HEAD")} if wanted["kind"] == "wheel" else {}), sort_keys=True
    )
    if folder.exists() and note.exists() and note.read_text() == mark:
        return folder
    print(f"making the environment {name}", file=sys.stderr, flush=True)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    if wanted["kind"] == "node":
        (folder / "package.json").write_text('{"private": true}')
        _call(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", *wanted["install"]], folder)
    else:
        _call([sys.executable, "-m", "venv", "--without-pip", str(folder)], ROOT)
        pip = _installer(folder)
        if wanted["kind"] == "wheel":
            _call([*pip, str(ROOT)], ROOT)
        else:
            if wanted.get("without_requirements"):
                _call([*pip, "--no-deps", *wanted["without_requirements"]], ROOT)
            _call([*pip, *wanted["install"]], ROOT)
    note.write_text(mark)
    return folder


def command(adapter: str, task: str, inputs: Path, environment: Path, words: list[str]) -> list[str]:
    """Return the command line of a task."""
    script = str(HERE / "adapters" / adapter)
    program = "node" if adapter.endswith(".mjs") else str(environment / "bin" / "python")
    return [program, script, task, str(inputs), str(environment), *words]


def megabytes(folder: Path) -> float:
    """Return the size of all files in a folder, each counted once, in MB."""
    seen = {
        (path.stat().st_dev, path.stat().st_ino): path.stat().st_size for path in folder.rglob("*") if path.is_file()
    }
    return sum(seen.values()) / 1e6


def _installer(folder: Path) -> list[str]:
    if shutil.which("uv"):
        return ["uv", "pip", "install", "--quiet", "--python", str(folder / "bin" / "python")]
    return [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]


def _call(words: list[str], folder: Path) -> None:
    subprocess.run(words, cwd=folder, check=True, stdout=sys.stderr)
