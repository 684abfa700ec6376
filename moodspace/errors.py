"""The base of all errors that Moodspace raises on purpose, and which extra provides a missing package."""

from typing import ClassVar

# Packages that only some features need, and the extra that installs each.
EXTRAS = {
    "tensorflow": "train",
    "keras": "train",
    "jax": "train",
    "pandas": "train",
    "pyarrow": "train",
    "scipy": "train",
    "sklearn": "train",
    "matplotlib": "map",
    "umap": "map",
    "streamlit": "web",
    "starlette": "web",
    "uvicorn": "web",
    "ray": "ray",
    "websockets": "sinks",
    "pythonosc": "sinks",
    "paho": "sinks",
    "pylsl": "sinks",
}


class MoodspaceError(ValueError):
    """An error with a one-line message: what was expected, what came, what to do next.

    Attributes:
        exit_code: What the command line exits with: 1 for a failure, 3 for a bundle or gallery that is missing or
            unusable, 4 for a missing camera, source or face.
    """

    exit_code: ClassVar[int] = 1


def explain_import_error(error: ImportError, extra: str | None = None) -> str:
    """Return one line about a failed import that names the extra to install, where an extra provides the package.

    Args:
        error: The failed import.
        extra: The extra that the caller belongs to; several provide some packages.
    """
    package = (error.name or "").partition(".")[0]
    if package not in EXTRAS:
        return str(error)
    return f"expected the package {package}, got none; install it: {install_command(extra or EXTRAS[package])}"


def install_command(extra: str) -> str:
    """Return the command that installs an extra, for an installed Moodspace or for a checkout."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        version("moodspace")
    except PackageNotFoundError:
        return f"pip install -r requirements/{extra if extra in ('web', 'ray') else 'all'}.txt"
    return f"pip install 'moodspace[{extra}]'"
