"""The files of the container and of Streamlit's cloud exist, suffice, and pin what is tested."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PACKAGES = ("bundles", "classifier", "embeddings", "index", "moodspace", "realtime", "viz", "web")


def pins(name: str) -> dict[str, str]:
    return dict(re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", (ROOT / "requirements" / name).read_text(), re.MULTILINE))


def in_image() -> set[str]:
    """Return the paths that .dockerignore, a list of exceptions, lets into the image."""
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert "*" in lines
    return {line[1:] for line in lines if line.startswith("!")}


def test_all_that_is_let_into_the_image_exists_and_all_packages_are() -> None:
    assert {name for name in in_image() if not (ROOT / name).exists()} == set()
    assert set(PACKAGES) <= in_image()


def test_what_the_image_copies_is_let_in() -> None:
    copied = re.findall(r"requirements/[a-z]+\.txt", DOCKERFILE)
    assert copied
    assert set(copied) <= in_image()


def test_what_the_image_copies_is_enough_to_run(tmp_path: Path) -> None:
    for name in in_image():
        target = tmp_path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, target)
    code = (
        "import streamlit_app, moodspace.web.app\n"
        "from moodspace.web.components.about import licenses, model_card\n"
        "from moodspace.web.server.settings import WebSettings\n"
        "assert model_card() and 'FER2013' in licenses() and (WebSettings().bundle / 'manifest.json').is_file()\n"
        "print(moodspace.web.app.__file__)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert Path(done.stdout.splitlines()[-1]).is_relative_to(tmp_path)


def test_what_the_image_runs_on_is_what_is_tested() -> None:
    tested = pins("all.txt")
    assert {name: version for name, version in pins("web.txt").items() if tested.get(name) != version} == {}
    assert pins("headless.txt") == {"opencv-python-headless": tested["opencv-python"]}


def test_the_web_set_is_without_what_only_training_needs() -> None:
    assert not {"tensorflow", "keras", "scikit-learn", "umap-learn", "matplotlib", "pytest"} & set(pins("web.txt"))


def test_the_cloud_installs_the_web_set() -> None:
    lines = [line for line in (ROOT / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    assert lines == ["-r requirements/web.txt"]
    assert (ROOT / "packages.txt").read_text().split() == ["libgl1", "libglib2.0-0"]


def test_the_command_of_the_image_is_understood() -> None:
    arguments = re.findall(r'"([^"]+)"', DOCKERFILE.split("ENTRYPOINT")[1])
    assert arguments[0] == "python"
    done = subprocess.run([sys.executable, *arguments[1:], "--help"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
