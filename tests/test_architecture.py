"""Imports point against the data flow, each heavy library has one home, and starting costs none of them."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# A subpackage of `moodspace` may import itself, these, and the three modules that everybody may.
BELOW = {
    "embeddings": set(),
    "index": {"embeddings"},
    "classifier": {"embeddings", "index"},
    "realtime": {"embeddings", "index", "classifier"},
    "viz": {"embeddings", "index", "classifier"},
    "web": {"embeddings", "index", "classifier", "realtime", "viz"},
}
EVERYBODY = {"moodspace.arrays", "moodspace.errors", "moodspace.sessions"}

# Only files whose path starts with one of these may import the library.
HOMES = {
    "av": ("realtime/capture/", "realtime/drawing/video.py"),
    "ai_edge_litert": ("embeddings/litert.py", "embeddings/detection/conversion.py", "web/site/"),
    "cv2": ("realtime/", "embeddings/crops.py", "embeddings/detection/", "index/ingest/", "web/"),
    "faiss": ("index/",),
    "jax": ("embeddings/training/",),
    "keras": ("embeddings/training/",),
    "matplotlib": ("viz/",),
    "paho": ("realtime/sinks/mqtt.py",),
    "pyarrow": (
        "embeddings/data/", "index/taught/exchange.py", "realtime/session/export.py", "realtime/sinks/files.py",
        "realtime/videos/table.py",
    ),
    "pylsl": ("realtime/sinks/lsl.py",),
    "pythonosc": ("realtime/sinks/osc.py",),
    "pillow_heif": ("embeddings/pictures.py",),
    "ray": ("index/ingest/ray_workers.py",),
    "starlette": ("web/", "streamlit_app.py"),
    "streamlit": ("web/", "streamlit_app.py"),
    "tensorflow": ("embeddings/training/",),
    "typer": ("cli.py",),
    "umap": ("viz/",),
    "uvicorn": ("web/",),
    "websockets": ("realtime/sinks/websocket.py",),
}  # fmt: skip

# What live and predict must not load, with the scientific Python around it.
HEAVY = (
    "tensorflow", "keras", "jax", "umap", "sklearn", "streamlit", "pyarrow", "pandas", "matplotlib", "plotly",
    "websockets", "paho", "pythonosc", "pylsl",
)  # fmt: skip


def imported(source: str) -> Iterator[str]:
    """Yield the name of each module that the source imports, inside functions too."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            # A relative import stays in its package unless it climbs out, which no file here may do.
            yield (node.module or "") if node.level == 0 else "." * node.level


def part_of(module: str) -> str:
    """Return the subpackage of a module of ours, and the package of any other."""
    parts = module.split(".")
    return ".".join(parts[1:2]) or "moodspace" if parts[0] == "moodspace" else parts[0]


def sources() -> list[Path]:
    packages = [path for package in BELOW for path in sorted((ROOT / package).rglob("*.py"))]
    api = sorted((ROOT / "moodspace").rglob("*.py"))
    return [ROOT / "cli.py", ROOT / "streamlit_app.py", *api, *packages]


def test_imports_are_seen_wherever_they_stand() -> None:
    text = "import a.b as c, d\nfrom e.f import g\nfrom ..h import i\ndef j():\n    from k import l\n"
    assert list(imported(text)) == ["a.b", "d", "e.f", "..", "k"]
    assert [part_of(name) for name in ("a.b", "moodspace.index.search", "moodspace")] == ["a", "index", "moodspace"]


@pytest.mark.parametrize("package", BELOW)
def test_imports_point_against_the_data_flow(package: str) -> None:
    files = sorted((ROOT / package).rglob("*.py"))
    allowed = BELOW[package] | {package}
    wrong = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in files
        for name in imported(path.read_text())
        if name.split(".")[0] in {"moodspace", "cli", "streamlit_app", "tests", "benchmarks", *BELOW, ".."}
        and name not in EVERYBODY
        and not (name.startswith("moodspace.") and part_of(name) in allowed)
    ]
    assert files and not wrong


def test_no_imports_go_in_a_circle() -> None:
    def name_of(path: Path) -> str:
        inside = path.relative_to(ROOT).with_suffix("").parts
        return ".".join(inside if inside[0] == "moodspace" else ("moodspace", *inside)).removesuffix(".__init__")

    graph = {name_of(path): set(imported(path.read_text())) for path in sources() if path.parent != ROOT}
    del graph["moodspace"]  # which names what it loads later
    left = {name: {other for other in others if other in graph} for name, others in graph.items()}
    while leaves := {name for name, others in left.items() if not others - {name}}:
        left = {name: others - leaves for name, others in left.items() if name not in leaves}
    assert sorted(left) == []


@pytest.mark.parametrize(("library", "homes"), HOMES.items())
def test_each_heavy_library_has_one_home(library: str, homes: tuple[str, ...]) -> None:
    users = [
        path.relative_to(ROOT).as_posix()
        for path in sources()
        if library in {name.split(".")[0] for name in imported(path.read_text())}
    ]
    assert [user for user in users if not user.startswith((*homes, "moodspace/"))] == []


def loaded_by(code: str, names: Iterable[str] = HEAVY) -> set[str]:
    """Run the code in a fresh interpreter; return which of the named modules it loaded."""
    report = f"import sys; print('loaded:', *(name for name in {tuple(names)!r} if name in sys.modules))"
    # The measurement of coverage loads modules of its own.
    own = {name: value for name, value in os.environ.items() if not name.startswith("COVERAGE_")}
    words = [sys.executable, "-c", f"{code}\n{report}"]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, env=own)
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


# What none of these commands needs for its first label; each of them takes 5 to 300 ms to load.
UNNEEDED = (
    *HEAVY, "asyncio", "concurrent.futures", "http.client", "multiprocessing", "rich", "scipy", "ssl", "websockets",
    "moodspace.embeddings.training", "moodspace.realtime.sinks.hub", "moodspace.realtime.videos", "moodspace.viz",
    "moodspace.web",
)  # fmt: skip
WINDOW = ("moodspace.realtime.window", "moodspace.realtime.session.recording", "moodspace.realtime.sinks")


def test_importing_the_package_loads_no_library() -> None:
    libraries = ("ai_edge_litert", "cv2", "faiss", "numpy", "PIL", "pydantic", "typer")
    assert loaded_by("import moodspace", libraries) == set()


def test_the_command_line_reads_its_arguments_without_any_library_for_faces() -> None:
    assert loaded_by(run_cli(["predict", "--help"]), ("ai_edge_litert", "cv2", "faiss", "numpy", "PIL")) == set()


def test_recognizing_in_python_loads_only_what_it_needs() -> None:
    from moodspace.realtime.demo import picture_path

    code = f"import moodspace\nassert moodspace.recognize({str(picture_path())!r})"
    assert loaded_by(code, (*UNNEEDED, *WINDOW, "av", "pydantic", "typer", "moodspace.realtime.drawing")) == set()


@pytest.mark.parametrize(
    ("command", "unneeded"),
    [
        (["predict"], (*UNNEEDED, *WINDOW, "av", "moodspace.realtime.demo")),
        (["live", "--headless", "--source"], (*UNNEEDED, "av", "moodspace.realtime.predict")),
    ],
)
def test_a_command_loads_only_what_its_first_label_needs(command: list[str], unneeded: tuple[str, ...]) -> None:
    from moodspace.realtime.demo import picture_path

    assert loaded_by(run_cli([*command, str(picture_path())]), unneeded) == set()


def test_the_demo_loads_only_what_it_needs(tmp_path: Path) -> None:
    assert loaded_by(run_cli(["demo", "--out", str(tmp_path)]), (*UNNEEDED, *WINDOW)) == set()
