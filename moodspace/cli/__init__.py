"""The command line: a thin client of the package.

The commands register themselves when their modules are imported, in the order in which `--help` lists them.
"""
# ruff: noqa: F401, I001

from moodspace.cli.app import app, main
from moodspace.cli import recognition
from moodspace.cli import teaching
from moodspace.cli import training
from moodspace.cli import pages

__all__ = ["app", "main"]
