"""The environments of the packages: made once, in `build/peers` by default, with the versions of `peers.toml`."""

import hashlib
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


def make_environment(name: str, wanted: dict[str, Any], place: Path = PLACE) -> Path:
    """Make an environment unless it is there with the wanted packages; return its folder.

    Raises:
        subprocess.CalledProcessError: A package cannot be installed.
    """
    folder, note = place / name, place / f"{name}.json"
    mark = json.dumps(wanted | ({"checkout": checkout()} if wanted["kind"] == "wheel" else {}), sort_keys=True)
    if folder.exists() and note.exists() and note.read_text() == mark:
        return folder
    print(f"making the environment {name}", file=sys.stderr, flush=True)
    for old in (folder, tools_of(folder)):
        shutil.rmtree(old, ignore_errors=True)
    folder.mkdir(parents=True)
    if wanted["kind"] == "node":
        (folder / "package.json").write_text('{"private": true}')
        _call(["npm", "install", "--no-audit", "--no-fund", "--no-package-lock", *wanted["install"]], folder)
        note.write_text(mark)
        return folder
    _call([sys.executable, "-m", "venv", "--without-pip", str(folder)], ROOT)
    pip = _installer(folder)
    if wanted["kind"] == "wheel":
        extra = f"[{wanted['extra']}]" if "extra" in wanted else ""
        shutil.rmtree(ROOT / "build" / "lib", ignore_errors=True)  # else files that were removed come back
        # uv takes a wheel that it built before as long as pyproject.toml is the same.
        fresh = ["--refresh-package", "moodspace"] if pip[0] == "uv" else []
        _call([*pip, *fresh, f"{ROOT}{extra}"], ROOT)
    else:
        if wanted.get("without_requirements"):
            _call([*pip, "--no-deps", *wanted["without_requirements"]], ROOT)
        _call([*pip, *wanted["install"]], ROOT)
        if wanted.get("tools"):
            _call([*pip, "--target", str(tools_of(folder)), *wanted["tools"]], ROOT)
    note.write_text(mark)
    return folder


def make_environments(wanted: dict[str, dict[str, Any]], place: Path = PLACE) -> dict[str, Path]:
    """Make several environments; say in one line which cannot be made, so that the others still run."""
    folders = {}
    for name, one in wanted.items():
        try:
            folders[name] = make_environment(name, one, place)
        except (subprocess.CalledProcessError, OSError) as error:
            folders[name] = place / name
            print(f"{name}: cannot be installed: {error}", file=sys.stderr, flush=True)
    return folders


def tools_of(environment: Path) -> Path:
    """Return the folder of the packages that only the adapter needs."""
    return environment.with_name(f"{environment.name}-tools")


def checkout() -> str:
    """Return the commit of this checkout and a digest of what differs from it in tracked files."""
    changes = git("diff", "HEAD")
    return git("rev-parse", "HEAD") + (f" {hashlib.sha256(changes.encode()).hexdigest()[:12]}" if changes else "")


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
    # Bytecode is compiled, as pip does by itself, so that no first start has to.
    if shutil.which("uv"):
        return ["uv", "pip", "install", "--quiet", "--compile-bytecode", "--python", str(folder / "bin" / "python")]
    return [sys.executable, "-m", "pip", "--python", str(folder / "bin" / "python"), "install", "--quiet"]


def _call(words: list[str], folder: Path) -> None:
    subprocess.run(words, cwd=folder, check=True, stdout=sys.stderr)
