"""Fill the option tables of docs/reference/commands.md from the command line: `python docs/building/commands.py`."""

import re
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[2]))

import typer.main

from moodspace import cli
from moodspace.cli.app import DEFAULT_BUNDLE

PAGE = Path(__file__).parents[1] / "reference" / "commands.md"
_TABLE = re.compile(r"(<!-- options ([a-z -]+) -->\n).*?(<!-- end -->)", re.DOTALL)


def commands() -> dict[str, Any]:
    """Return each command by name; a command within a group as "gallery show"."""
    found: dict[str, Any] = {}
    for name, command in typer.main.get_command(cli.app).commands.items():  # type: ignore[attr-defined]
        found[name] = command
        found |= {f"{name} {inner}": one for inner, one in getattr(command, "commands", {}).items()}
    return found


def filled(page: str) -> str:
    """Return the page with each option table as the command line has it now."""
    known = commands()

    def table(match: re.Match[str]) -> str:
        # The page introduces a command at length; one within a group has its help text alone.
        intro = f"\n{_line(known[match[2]].help)}\n" if " " in match[2] else ""
        return match[1] + intro + _table(known[match[2]]) + match[3]

    return _TABLE.sub(table, page)


def documented(page: str) -> set[str]:
    """Return the names of the commands whose options the page lists."""
    return {match[2] for match in _TABLE.finditer(page)}


def _table(command: Any) -> str:
    rows = [_row(one) for one in command.params if not one.hidden and one.name != "help"]
    return "\n| argument or option | meaning | default |\n|---|---|---|\n" + "".join(rows) + "\n" if rows else "\n"


def _row(param: Any) -> str:
    option = param.opts[0].startswith("-")
    name = ", ".join(f"`{one}`" for one in [*param.opts, *param.secondary_opts]) if option else f"`{_metavar(param)}`"
    meaning = _line(param.help or "")
    if param.envvar:
        meaning += f" Environment variable: `{param.envvar}`."
    return f"| {name} | {meaning} | {_default(param)} |\n"


def _metavar(param: Any) -> str:
    return (param.metavar or param.name).strip("[]{}.").upper()


def _default(param: Any) -> str:
    if param.required:
        return "required"
    value = param.default
    if value is None or value is False or value == "" or callable(value):
        return ""
    if value is True:
        return f"`{param.opts[0]}`"
    # Its path depends on where Moodspace is installed.
    return "the one that ships" if value == DEFAULT_BUNDLE else f"`{value}`"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
