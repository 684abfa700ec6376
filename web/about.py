"""What the About page tells: the model card, the server's limits, versions and licences, from where they stand."""

import platform
import re
from importlib import metadata
from pathlib import Path

from viz.theme import text
from web.settings import Limits
from web.teaching import MOST_FACES

_ROOT = Path(__file__).parents[1]
_PACKAGES = (
    "streamlit", "numpy", "opencv-python", "ai-edge-litert", "faiss-cpu", "scikit-image", "pillow", "imageio-ffmpeg",
)  # fmt: skip
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?://)[^)]+\)")
_TITLE = re.compile(r"^# .*\n+")


def model_card() -> str:
    """Returns the model card as Markdown, its title and its links into the repository left out."""
    card = (_ROOT / "docs" / "model-card.md").read_text(encoding="utf-8")
    return _LINK.sub(r"\1", _TITLE.sub("", card))


def licences() -> str:
    """Returns what the project owes to whom, as plain text."""
    return (_ROOT / "NOTICE").read_text(encoding="utf-8")


def limits_list(limits: Limits) -> str:
    """Returns what this server takes, as HTML."""
    rows = {
        "picture": f"{limits.upload_bytes / 2**20:.0f} MB, {limits.picture_pixels / 1e6:.0f} megapixels",
        "video": f"{limits.video_bytes / 2**20:.0f} MB, {limits.video_seconds:.0f} seconds",
        "frames looked at": f"{limits.frames_per_second:.0f} a second",
        "taught faces for each visitor": f"{MOST_FACES:,}",
        "visitors at once": str(limits.visitors),
    }
    return _figures(rows)


def versions() -> str:
    """Returns what runs here, in which version, as HTML."""
    rows = {"Python": platform.python_version()} | {name: metadata.version(name) for name in _PACKAGES}
    return _figures(rows)


def _figures(rows: dict[str, str]) -> str:
    cells = "".join(f"<div><dt>{text(name)}</dt><dd>{text(value)}</dd></div>" for name, value in rows.items())
    return f'<dl class="figures plain">{cells}</dl>'
