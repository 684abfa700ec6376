"""What README and docs/ tell people to type works, and everything that exists is documented."""

import importlib.util
import json
import re
import shlex
import shutil
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import typer.main
from typer.testing import CliRunner

import moodspace
from moodspace import cli
from moodspace.embeddings.pictures import read_bgr
from moodspace.realtime.demo import picture_path
from moodspace.realtime.session.recorder import SessionRecorder
from tests.made_videos import write_video
from tests.realtime.session.recordings import CLASSES, STARTED, group

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NAMES = [str(page.relative_to(ROOT)) for page in PAGES]
TEXTS = dict(zip(NAMES, [page.read_text(encoding="utf-8") for page in PAGES], strict=True))
COMMANDS = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]
REFERENCE = "docs/reference/commands.md"
_BLOCK = re.compile(r"(<!-- not executed[^>]*-->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(name: str, kind: str) -> list[str]:
    """Return the code blocks of a page in a language; without those that say that they are not executed."""
    return [text for kept_out, one, text in _BLOCK.findall(TEXTS[name]) if one == kind and not kept_out]


def shell_lines(name: str) -> list[str]:
    return [line for text in blocks(name, "bash") for line in text.replace("\\\n", " ").splitlines()]


def cli_arguments(line: str) -> list[str] | None:
    """Return what a line gives to the command line; None for a line of another program."""
    for program in ("moodspace ", "python cli.py ", "python -m moodspace "):
        if line.startswith(program):
            return shlex.split(re.split(r"\s[|>]", line.removeprefix(program))[0], comments=True)
    return None


CLI_LINES = [(name, line) for name in NAMES for line in shell_lines(name) if cli_arguments(line) is not None]


@pytest.mark.parametrize(("page", "line"), CLI_LINES)
def test_each_command_line_is_understood(page: str, line: str) -> None:
    arguments = cli_arguments(line)
    assert arguments
    name, *rest = arguments
    # Parsing as for a run finds unknown options and missing arguments, and runs nothing.
    command = COMMANDS[name]
    if rest and rest[0] in getattr(command, "commands", {}):
        command, name, *rest = command.commands[rest[0]], *rest
    command.make_context(name, rest)


def test_an_unknown_option_is_noticed() -> None:
    with pytest.raises(Exception, match="--no-such-option"):
        COMMANDS["predict"].make_context("predict", ["picture.jpg", "--no-such-option"])


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_an_example_in_the_reference(name: str) -> None:
    assert any((cli_arguments(line) or [""])[0] == name for page, line in CLI_LINES if page == REFERENCE)
    assert CliRunner().invoke(cli.app, [name, "--help"]).exit_code == 0


def building(name: str) -> ModuleType:
    """Return a module of docs/building, which is no package."""
    spec = importlib.util.spec_from_file_location(f"docs_building_{name}", ROOT / "docs" / "building" / f"{name}.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_reference_lists_every_option() -> None:
    commands = building("commands")
    page = TEXTS[REFERENCE]
    assert commands.filled(page) == page, "run `python docs/building/commands.py`"
    groups = {name for name, command in commands.commands().items() if hasattr(command, "commands")}
    assert commands.documented(page) == set(commands.commands()) - groups


def test_the_reference_has_each_public_name() -> None:
    names = {
        name.rpartition(".")[2] for name in re.findall(r"^::: ([\w.]+)$", TEXTS["docs/reference/api.md"], re.MULTILINE)
    }
    assert set(moodspace.__all__) <= names
    assert all(hasattr(moodspace, name) for name in moodspace.__all__)


def test_each_make_target_exists_and_is_documented() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)) - {"help"}
    told = {target for line in shell_lines(REFERENCE) for target in re.findall(r"^make ([a-z]+)", line)}
    assert told == targets
    assert {"make demo", "make test"} <= {line.partition("#")[0].strip() for line in shell_lines("README.md")}


@pytest.mark.parametrize("page", NAMES)
def test_each_file_that_is_linked_exists(page: str) -> None:
    text = re.sub(r"^```.*?^```$", "", TEXTS[page], flags=re.MULTILINE | re.DOTALL)
    links = [link for link in re.findall(r"\]\(([^)#\s]+)[^)]*\)", text) if "://" not in link]
    assert [link for link in links if not ((ROOT / page).parent / link).exists()] == []


def test_each_page_is_in_the_navigation() -> None:
    navigation = (ROOT / "mkdocs.yml").read_text()
    assert [
        name for name in NAMES if name.startswith("docs/") and f": {name.removeprefix('docs/')}\n" not in navigation
    ] == []


def test_the_readme_is_short_and_shows_a_session() -> None:
    before, begin, rest = TEXTS["README.md"].partition("<!-- comparison:")  # a table with a line for each measure
    assert begin and len(before.splitlines()) + len(rest.partition("<!-- end of comparison")[2].splitlines()) < 125
    assert "](docs/live.png)" in TEXTS["README.md"]
    assert (ROOT / "docs" / "live.png").stat().st_size < 250_000


def test_the_picture_of_a_session_can_be_drawn_again(tmp_path: Path) -> None:
    building("live_picture").draw(tmp_path / "live.png")
    drawn, shown = read_bgr(tmp_path / "live.png"), read_bgr(ROOT / "docs" / "live.png")
    assert drawn.shape == shown.shape
    # Another processor rounds otherwise.
    assert np.mean(np.abs(drawn.astype(int) - shown)) < 3


@pytest.fixture
def album(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files that the examples name, as the current one; the only face is the astronaut's."""
    bgr = read_bgr(picture_path())
    for name in ("party", "anna", "ben", "carla"):
        cv2.imwrite(str(tmp_path / f"{name}.jpg"), bgr)
    write_video(tmp_path / "clip.mp4", [bgr] * 3)
    session = tmp_path / "sessions" / "2026-11-23_101500"
    with SessionRecorder(session, classes=CLASSES, source="camera 0", now=lambda: STARTED) as recorder:
        for second in range(9):
            recorder.add(group(5, time=float(second)), STARTED + second)
    (tmp_path / "times.csv").write_text("time,name\n3,joke\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


EXECUTED = [name for name in NAMES if blocks(name, "python") and name not in ("README.md", "docs/reference/api.md")]


def test_tutorial_and_how_tos_have_python() -> None:
    assert {"docs/how-to/python.md", "docs/how-to/videos.md", "docs/tutorial.md"} <= set(EXECUTED)


@pytest.mark.parametrize("page", EXECUTED)
def test_the_python_of_a_page_runs(page: str, album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    space: dict[str, object] = {}
    for block in blocks(page, "python"):
        exec(compile(block, page, "exec"), space)
    assert "Traceback" not in capsys.readouterr().out


def test_the_readme_python_says_what_the_face_shows(album: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = blocks("README.md", "python")
    exec(compile(block, "README.md", "exec"), {})
    expression, confidence, label = capsys.readouterr().out.split()
    assert (expression, label) == ("happy", "happy")
    assert float(confidence) > 0.5
    assert (album / "my-faces" / "gallery.sqlite").exists()


def keys(value: object) -> object:
    """Return the names in a JSON value, level by level; of a list the first item's."""
    if isinstance(value, list):
        return [keys(item) for item in value[:1]]
    if isinstance(value, dict):
        return {name: keys(inner) for name, inner in value.items()}
    return type(value).__name__


def test_the_json_of_predict_is_as_documented() -> None:
    (told,) = blocks("docs/reference/json.md", "json")
    done = CliRunner().invoke(cli.app, ["predict", str(picture_path()), "--json"])
    assert done.exit_code == 0, done.output
    assert keys(json.loads(told)) == keys(json.loads(done.stdout))


def test_the_json_of_live_is_as_documented(tmp_path: Path) -> None:
    gallery = str(tmp_path / "gallery")
    arguments = ["live", "--headless", "--json", "--gallery", gallery, "--source", str(picture_path())]
    done = CliRunner().invoke(cli.app, arguments)
    assert done.exit_code == 0, done.output
    document = json.loads(done.stdout.splitlines()[0])
    section = TEXTS["docs/reference/json.md"].partition("## live --json")[2].partition("\nA mark:")[0]
    told = {
        name
        for line in section.splitlines()
        if line.startswith("|")
        for name in re.findall(r"`([\w\[\].]+)`", line.split(" | ")[0])
    }
    assert told == {*document, *(f"faces[].{name}" for name in document["faces"][0])} - {"faces"}


def test_the_json_of_other_commands_is_as_documented(tmp_path: Path) -> None:
    picture, gallery = str(picture_path()), ["--gallery", str(tmp_path / "gallery"), "--json"]
    (tmp_path / "faces" / "happy").mkdir(parents=True)
    shutil.copy(picture, tmp_path / "faces" / "happy")
    commands = {
        "teach": ["--label", "confused", picture],
        "similar": [picture],
        "gallery show": [],
        "gallery verify": [],
        "index": [str(tmp_path / "faces")],
        "forget": ["--last"],
    }
    for command, more in commands.items():
        done = CliRunner().invoke(cli.app, [*command.split(), *more, *gallery])
        assert done.exit_code == 0, done.output
        line = next(
            one for one in TEXTS["docs/reference/json.md"].splitlines() if one.startswith(f"| `{command} --json`")
        )
        told = set(re.findall(r"`(\w+)`", line.split(" | ")[1]))
        document = json.loads(done.stdout)
        assert told == {*document, *(document["similar"][0] if command == "similar" else {})}, command
