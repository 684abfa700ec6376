"""Imports point against the data flow, each heavy library has one home, and starting costs none of them."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A package may import itself and these.
BELOW = {
    "embeddings": set(),
    "index": {"embeddings"},
    "classifier": {"embeddings", "index"},
    "realtime": {"embeddings", "index", "classifier"},
    "viz": {"embeddings", "index", "classifier"},
    "web": {"embeddings", "index", "classifier", "realtime", "viz"},
}

# Only files whose path starts with one of these may import the library.
HOMES = {
    "av": ("realtime/",),
    "ai_edge_litert": ("embeddings/encoder.py",),
    "cv2": ("realtime/", "embeddings/crops.py", "web/"),
    "faiss": ("index/",),
    "imageio_ffmpeg": ("realtime/",),
    "jax": ("embeddings/",),
    "keras": ("embeddings/",),
    "matplotlib": ("viz/",),
    "pyarrow": ("embeddings/", "index/exchange.py", "realtime/session_export.py"),
    "pillow_heif": ("embeddings/pictures.py",),
    "ray": ("realtime/ray_workers.py",),
    "starlette": ("web/", "streamlit_app.py"),
    "streamlit": ("web/", "streamlit_app.py"),
    "tensorflow": ("embeddings/",),
    "typer": ("cli.py",),
    "umap": ("viz/",),
    "uvicorn": ("web/",),
}

# What live and predict must not load, with the scientific Python around it.
HEAVY = ("tensorflow", "keras", "jax", "umap", "sklearn", "streamlit", "pyarrow", "pandas", "matplotlib", "plotly")


def imported(source: str) -> Iterator[str]:
    """Yields the first part of the name of each module that the source imports, inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name.split(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import stays in its package unless it climbs out, which no file here may do.
            yield (node.module or "").split(".")[0] if node.level == 0 else "." * node.level


def sources() -> list[Path]:
    packages = [path for package in BELOW for path in sorted((ROOT / package).rglob("*.py"))]
    return [ROOT / "cli.py", ROOT / "streamlit_app.py", *packages]


def test_imports_are_seen_wherever_they_stand() -> None:
    text = "import a.b as c, d\nfrom e.f import g\nfrom ..h import i\ndef j():\n    from k import l\n"
    assert list(imported(text)) == ["a", "d", "e", "..", "k"]


@pytest.mark.parametrize("package", BELOW)
def test_imports_point_against_the_data_flow(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    forbidden = set(BELOW) - BELOW[package] - {package} | {"cli", "streamlit_app", "tests", "benchmarks", ".."}
    wrong = [f"{path.relative_to(ROOT)}: {name}" for path in files for name in imported(path.read_text())
             if name in forbidden]  # fmt: skip
    assert files and not wrong


@pytest.mark.parametrize(("library", "homes"), HOMES.items())
def test_each_heavy_library_has_one_home(library: str, homes: tuple[str, ...]) -> None:
    users = [str(path.relative_to(ROOT).as_posix()) for path in sources() if library in imported(path.read_text())]
    assert [user for user in users if not user.startswith(homes)] == []


def loaded_by(code: str) -> set[str]:
    """Runs the code in a fresh interpreter; returns which heavy libraries it loaded."""
    report = f"import sys; print('loaded:', *(name for name in {HEAVY!r} if name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{report}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].removeprefix("loaded:").split())


def test_a_loaded_library_is_noticed() -> None:
    assert loaded_by("import sys; sys.modules['keras'] = sys") == {"keras"}


def test_importing_the_command_line_loads_nothing_heavy() -> None:
    assert loaded_by("import cli") == set()


@pytest.mark.parametrize("arguments", [["--help"], ["live", "--help"], ["predict", "--help"], ["train", "--help"]])
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert loaded_by(run_cli(arguments)) == set()


def run_cli(arguments: list[str]) -> str:
    return (
        "import runpy, sys\n"
        f"sys.argv = ['cli.py', *{arguments!r}]\n"
        "try:\n    runpy.run_path('cli.py', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code"
    )


def test_predicting_loads_nothing_heavy() -> None:
    from moodspace.realtime.demo import picture_path

    assert loaded_by(run_cli(["predict", str(picture_path()), "--json"])) == set()
