"""The distribution: built, installed into a fresh environment, and used from another folder."""

import hashlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile
from pathlib import Path
from types import ModuleType

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
    shutil.copytree(ROOT / "requirements", source / "requirements", ignore=left_out)
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


def sbom_module() -> ModuleType:
    """Return requirements/sbom.py, which is in no package."""
    spec = importlib.util.spec_from_file_location("sbom", ROOT / "requirements" / "sbom.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def pins(file: str) -> set[tuple[str, str]]:
    """Return the names and versions in a file of requirements."""
    found = re.findall(r"^([a-z0-9.-]+)==([^ ;]+)", (ROOT / "requirements" / file).read_text(), re.MULTILINE)
    return {(name.replace(".", "-"), version) for name, version in found}


def test_the_wheel_carries_its_bill_of_materials(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        (place,) = [name for name in names if ".dist-info/sboms/" in name]
        assert place in archive.read(place.split("/")[0] + "/RECORD").decode()
        bill = json.loads(archive.read(place))
        digests = {name.removeprefix("moodspace/"): hashlib.sha256(archive.read(name)).hexdigest() for name in names}
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    assert wheel.name.startswith(f"moodspace-{bill['metadata']['component']['version']}-")
    parts = {one["name"]: one for one in bill["components"]}
    refs = [one["bom-ref"] for one in bill["components"]]
    assert len(refs) == len(set(refs)) and set(bill["dependencies"][0]["dependsOn"]) <= set(refs)
    # The models and data, each as it is in the wheel.
    bundled = {name: one for name, one in parts.items() if one["type"] in ("machine-learning-model", "data")}
    assert set(bundled) == {
        name for name in digests
        if (name.startswith("bundles/") and not name.endswith(".py")) or name.endswith((".onnx", "astronaut.webp"))
    }  # fmt: skip
    assert all(one["hashes"][0]["content"] == digests[name] for name, one in bundled.items())
    assert parts["bundles/fer2013/encoder.tflite"]["type"] == "machine-learning-model"
    # What it requires, and no test tool.
    required = [one for one in bill["components"] if one["scope"] == "required" and "version" in one]
    assert {(one["name"], one["version"]) for one in required} == pins("runtime.txt")
    optional = [one for one in bill["components"] if one["scope"] == "optional"]
    web = {(one["name"], one["version"]) for one in optional}
    assert web == pins("web.txt") - pins("runtime.txt")
    windows = next(one for one in required if one["name"] == "colorama")
    assert windows["properties"] == [{"name": "moodspace:marker", "value": "sys_platform == 'win32'"}]
    # This wheel has no built pages, so none of their packages.
    assert not any(one.get("purl", "").startswith("pkg:npm/") for one in parts.values())


def test_a_wheel_with_the_static_site_lists_the_packages_in_its_pages(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "NOTICE", "moodspace/__init__.py", "web/browser/package-lock.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(ROOT / name, tmp_path / name)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")
    (tmp_path / "web/browser/dist").mkdir()
    (tmp_path / "web/browser/dist/index.html").touch()
    module = sbom_module()
    bill = module.bill_of_materials(tmp_path)
    scripts = {one["name"]: one for one in bill["components"] if one.get("purl", "").startswith("pkg:npm/")}
    direct = json.loads((ROOT / "web/browser/package.json").read_text())
    assert set(direct["dependencies"]) <= set(scripts) and not set(direct["devDependencies"]) & set(scripts)
    assert scripts["@litertjs/core"]["purl"].startswith("pkg:npm/%40litertjs/core@")
    assert all(len(one["hashes"][0]["content"]) == 128 for one in scripts.values())
    assert module.bill_of_materials(tmp_path) == bill, "the same files give the same document"


def test_notice_names_all_that_the_bill_of_materials_lists() -> None:
    module = sbom_module()
    notice = (ROOT / "NOTICE").read_text()
    named = module.licenses(notice)
    lock = json.loads((ROOT / "web/browser/package-lock.json").read_text())["packages"]
    scripts = {path.rpartition("node_modules/")[2]: one for path, one in lock.items() if path and not one.get("dev")}
    assert set(named) == {name for name, _ in pins("runtime.txt") | pins("web.txt")} | set(scripts)
    assert {name: named[name] for name in scripts} == {name: one["license"] for name, one in scripts.items()}
    for pattern, *_ in module.CARRIED:
        assert f"\n{pattern.split('/*')[0]}" in notice or (pattern.startswith("bundles/*") and "\nbundles/" in notice)
    assert all(name in notice and url in notice for _, name, url, _ in module.ANCESTORS)


def test_notice_states_the_licenses_that_the_packages_state() -> None:
    named = sbom_module().licenses((ROOT / "NOTICE").read_text())
    compared = 0
    for name, _ in pins("runtime.txt"):
        try:
            stated = importlib.metadata.metadata(name).get("License-Expression")
        except importlib.metadata.PackageNotFoundError:
            continue
        if stated:
            compared += 1
            assert named[name] == stated, name
    assert compared > 5


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
