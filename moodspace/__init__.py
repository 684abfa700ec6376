"""Moodspace: facial expressions as a space that you can see, search and teach.

    import moodspace as ms

    for face in ms.recognize("party.jpg"):
        print(face.expression, face.confidence, face.neighbors[0].label)

Nothing heavy is imported here: each name below is loaded when it is first used.
"""

import importlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

from moodspace.errors import MoodspaceError

if TYPE_CHECKING:
    from moodspace.api import (
        evaluate,
        live,
        load,
        open_session,
        read,
        read_video,
        recognize,
        recognize_video,
        recognize_videos,
        train,
    )
    from moodspace.classifier.baseline import Baseline
    from moodspace.classifier.evaluation import Evaluation
    from moodspace.estimator import Ensemble
    from moodspace.gallery import Gallery
    from moodspace.map import Map
    from moodspace.model import Encoder, Face, Model, Neighbor, Recognition
    from moodspace.realtime.pipeline import LivePipeline
    from moodspace.realtime.sinks.destination import SinkOptions
    from moodspace.realtime.sinks.hub import Sinks
    from moodspace.sessions import Epochs, Mark, Session

__version__ = "0.2.0"

# Where each public name lives.
_PLACES = {
    "read": "moodspace.api",
    "read_video": "moodspace.api",
    "recognize": "moodspace.api",
    "recognize_video": "moodspace.api",
    "recognize_videos": "moodspace.api",
    "live": "moodspace.api",
    "load": "moodspace.api",
    "train": "moodspace.api",
    "evaluate": "moodspace.api",
    "open_session": "moodspace.api",
    "Model": "moodspace.model",
    "Encoder": "moodspace.model",
    "Recognition": "moodspace.model",
    "Face": "moodspace.model",
    "Neighbor": "moodspace.model",
    "Gallery": "moodspace.gallery",
    "Map": "moodspace.map",
    "Ensemble": "moodspace.estimator",
    "LivePipeline": "moodspace.realtime.pipeline",
    "Sinks": "moodspace.realtime.sinks.hub",
    "SinkOptions": "moodspace.realtime.sinks.destination",
    "Baseline": "moodspace.classifier.baseline",
    "Evaluation": "moodspace.classifier.evaluation",
    "Session": "moodspace.sessions",
    "Mark": "moodspace.sessions",
    "Epochs": "moodspace.sessions",
}

__all__ = [
    "Baseline",
    "Encoder",
    "Ensemble",
    "Epochs",
    "Evaluation",
    "Face",
    "Gallery",
    "LivePipeline",
    "Map",
    "Mark",
    "Model",
    "MoodspaceError",
    "Neighbor",
    "Recognition",
    "Session",
    "SinkOptions",
    "Sinks",
    "evaluate",
    "live",
    "load",
    "open_session",
    "read",
    "read_video",
    "recognize",
    "recognize_video",
    "recognize_videos",
    "train",
]

# In a checkout the subpackages (`embeddings`, `index`, ...) stand beside this folder; a wheel has them inside it.
_CHECKOUT = Path(__file__).resolve().parents[1]
if (_CHECKOUT / "pyproject.toml").is_file() and (_CHECKOUT / "embeddings").is_dir():
    __path__.append(str(_CHECKOUT))


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'moodspace' has no attribute {name!r}")
    value = getattr(importlib.import_module(_PLACES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *_PLACES})
