"""The distribution: built, installed into a fresh environment, and used from another folder."""

import os
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDERS = ("moodspace", "bundles", "embeddings", "index", "classifier", "realtime", "viz", "web")


def packages() -> set[str]:
    """Return the names that the folders' Python files make."""
    found = {path.parent.relative_to(ROOT) for top in FOLDERS for path in (ROOT / top).rglob("*.py")}
    found.add(Path("docs"))  # for the model card alone
    return {".".join(path.parts if path.parts[0] == "moodspace" else ("moodspace", *path.parts)) for path in found}


def test_every_folder_is_listed() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert set(settings["packages"]) == packages()
    assert {name: ROOT / folder for name, folder in settings["package-dir"].items()} == {
        name: ROOT / ("moodspace" if name == "moodspace" else "") / Path(*name.split(".")[1:])
        if not name.startswith("moodspace.cli") and name != "moodspace"
        else ROOT / Path(*name.split("."))
        for name in packages()
    }


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the wheel from a copy, because building leaves files behind."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for name in FOLDERS:
        left_out = shutil.ignore_patterns("__pycache__", "node_modules", "dist")
        shutil.copytree(ROOT / name, source / name, ignore=left_out)
    (source / "docs").mkdir()
    for name in ("docs/model-card.md",):
        shutil.copy(ROOT / name, source / name)
    for name in ("pyproject.toml", "README.md", "LICENSE", "NOTICE"):
        shutil.copy(ROOT / name, source)
    build = "import sys; from setuptools import build_meta; build_meta.build_wheel(sys.argv[1])"
    done = subprocess.run([sys.executable, "-c", build, out], cwd=source, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Install the wheel into a fresh environment; its requirements come from this one, so that nothing is fetched."""
    home = tmp_path_factory.mktemp("environment")
    venv.create(home, with_pip=True)
    python = home / ("Scripts" if os.name == "nt" else "bin") / "python"
    command = [python, "-m", "pip", "install", "-q", "--no-deps", "--no-index", "--disable-pip-version-check", wheel]
    subprocess.run(list(map(str, command)), check=True)
    place = subprocess.run(
        [python, "-c", "import sysconfig; print(sysconfig.get_path('purelib'))"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (Path(place) / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    return python.parent


def test_the_wheel_holds_one_package_and_all_that_it_needs(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    assert {name.split("/")[0].partition("-")[0] for name in names} == {"moodspace"}
    for needed in (
        "moodspace/py.typed", "moodspace/bundles/fer2013/encoder.tflite", "moodspace/bundles/fer2013/manifest.json",
        "moodspace/embeddings/detection/centerface.onnx", "moodspace/embeddings/detection/centerface.LICENSE",
        "moodspace/realtime/astronaut.webp", "moodspace/viz/theme.css", "moodspace/docs/model-card.md",
        "moodspace/web/static/live/page.js", "moodspace/realtime/sinks/schema.json",
        "moodspace/realtime/sinks/overlay.html",
    ):  # fmt: skip
        assert needed in names
    assert wheel.stat().st_size < 20_000_000


def run(program: Path, *arguments: str, cwd: Path) -> "subprocess.CompletedProcess[str]":
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    return subprocess.run([program, *arguments], cwd=cwd, capture_output=True, text=True, env=environment)


@pytest.mark.slow
def test_the_command_runs_from_another_folder(installed: Path, tmp_path: Path) -> None:
    done = run(installed / "moodspace", "demo", "--out", "shown", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("face 1: happy")
    assert {path.name for path in (tmp_path / "shown").iterdir()} == {"astronaut.png", "astronaut.mp4"}
    version = run(installed / "python", "-m", "moodspace", "--version", cwd=tmp_path)
    assert version.stdout.startswith("moodspace ")


@pytest.mark.slow
def test_the_api_is_imported_from_another_folder(installed: Path, tmp_path: Path) -> None:
    code = (
        "import moodspace as ms; from moodspace.realtime.demo import picture_path\n"
        "face = ms.recognize(picture_path())[0]\n"
        "print(ms.__file__, face.expression, face.neighbors[0].label)"
    )
    done = run(installed / "python", "-c", code, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split()[1:] == ["happy", "happy"]
    assert str(ROOT) not in done.stdout.split()[0]
