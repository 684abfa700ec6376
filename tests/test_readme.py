"""What README tells people to type exists, and everything that exists is told."""

import json
import re
import shlex
from pathlib import Path

import pytest
import typer.main
from typer.testing import CliRunner

from moodspace.cli import app

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, re.MULTILINE | re.DOTALL)
SHELL_LINES = [line for kind, text in BLOCKS if kind == "bash" for line in text.replace("\\\n", " ").splitlines()]
CLI_LINES = [line for line in SHELL_LINES if line.startswith("python cli.py ")]
COMMANDS = typer.main.get_command(app).commands  # type: ignore[attr-defined]


@pytest.mark.parametrize("line", CLI_LINES)
def test_each_command_line_is_understood(line: str) -> None:
    line = re.split(r"\s[|>]", line)[0]
    name, *arguments = shlex.split(line, comments=True)[2:]
    # Parses as for a run, which tells unknown options and missing arguments, and runs nothing.
    command = COMMANDS[name]
    if arguments and arguments[0] in getattr(command, "commands", {}):
        command, name, *arguments = command.commands[arguments[0]], *arguments
    command.make_context(name, arguments)


def test_an_unknown_option_is_noticed() -> None:
    with pytest.raises(Exception, match="--no-such-option"):
        COMMANDS["predict"].make_context("predict", ["picture.jpg", "--no-such-option"])


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_has_an_example(name: str) -> None:
    assert any(shlex.split(line, comments=True)[2] == name for line in CLI_LINES)
    assert CliRunner().invoke(app, [name, "--help"]).exit_code == 0


def test_each_make_target_exists_and_is_told() -> None:
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)) - {"help"}
    told = {match for line in SHELL_LINES for match in re.findall(r"^make ([a-z]+)", line)}
    assert told == targets


def test_each_file_that_is_linked_exists() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)\)", README) if "://" not in link]
    assert links and [link for link in links if not (ROOT / link).exists()] == []


def keys(value: object) -> object:
    """Returns the names in a JSON value, level by level; of a list the first item's."""
    if isinstance(value, list):
        return [keys(item) for item in value[:1]]
    if isinstance(value, dict):
        return {name: keys(inner) for name, inner in value.items()}
    return type(value).__name__


def test_the_json_of_predict_is_as_told() -> None:
    from moodspace.realtime.demo import picture_path

    told = json.loads(next(text for kind, text in BLOCKS if kind == "json"))
    done = CliRunner().invoke(app, ["predict", str(picture_path()), "--json"])
    assert done.exit_code == 0, done.output
    assert keys(told) == keys(json.loads(done.stdout))
