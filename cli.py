#!/usr/bin/env python3
"""The command line of a checkout: `python cli.py` is what `moodspace` is once the package is installed."""

from moodspace.cli import app, main

__all__ = ["app", "main"]

if __name__ == "__main__":
    main()
