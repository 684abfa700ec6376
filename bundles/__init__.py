"""The bundles that ship with Moodspace."""

from pathlib import Path


def shipped_bundle() -> Path:
    """Return the folder of the bundle that is used unless another one is named."""
    return Path(__file__).with_name("fer2013")
