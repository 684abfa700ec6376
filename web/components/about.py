"""The contents of the About page: the model card, the server's limits, versions and licenses."""

import platform
import re
from importlib import metadata
from importlib.resources import files
from pathlib import Path

from moodspace.viz.theme import text
from moodspace.web.components.teaching import MOST_FACES
from moodspace.web.server.settings import Limits

# In a wheel the repository's root is missing, and this is the package's own folder.
_ROOT = Path(__file__).parents[2]
# The container replaces opencv-python by opencv-python-headless.
_PACKAGES = (
    "moodspace", "streamlit", "numpy", "opencv-python", "opencv-python-headless", "pillow", "av", "ai-edge-litert",
    "faiss-cpu",
)  # fmt: skip
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?://)[^)]+\)")
_TITLE = re.compile(r"^# .*\n+")


def model_card() -> str:
    """Return the model card as Markdown, without its title and its links into the repository."""
    card = (files("moodspace.docs") / "model-card.md").read_text(encoding="utf-8")
    return _LINK.sub(r"\1", _TITLE.sub("", card))


def licenses() -> str:
    """Return the licenses of the work that the project builds on, as plain text."""
    notice = _ROOT / "NOTICE"
    if notice.is_file():
        return notice.read_text(encoding="utf-8")
    return metadata.distribution("moodspace").read_text("licenses/NOTICE") or ""


def limits_list(limits: Limits) -> str:
    """Return the limits of this server as HTML."""
    rows = {
        "picture": f"{limits.upload_bytes / 2**20:.0f} MB, {limits.picture_pixels / 1e6:.0f} megapixels",
        "video": f"{limits.video_bytes / 2**20:.0f} MB, {limits.video_seconds:.0f} seconds",
        "frames analyzed": f"{limits.frames_per_second:.0f} per second",
        "taught faces per visitor": f"{MOST_FACES:,}",
        "concurrent visitors": str(limits.visitors),
    }
    return _definitions(rows)


def versions() -> str:
    """Return the versions of Python and of the main packages that are installed, as HTML."""
    installed = {}
    for name in _PACKAGES:
        try:
            installed[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return _definitions({"Python": platform.python_version()} | installed)


def _definitions(rows: dict[str, str]) -> str:
    cells = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in rows.items())
    return f'<dl class="figures plain">{cells}</dl>'
