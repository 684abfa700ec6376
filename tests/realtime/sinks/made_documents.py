"""Documents of made-up sessions, and how to wait for what threads do."""

import json
import time
from collections.abc import Callable
from functools import cache
from importlib.resources import files
from typing import Any

import numpy as np

from moodspace.classifier.recognizer import Recognizer
from moodspace.realtime.capture.source import Frame
from moodspace.realtime.pipeline import LiveResult
from tests.realtime.live_results import crowd, live_result

PATIENCE_S = 30.0


@cache
def schema() -> dict[str, Any]:
    """Return the schema that the package ships."""
    loaded: dict[str, Any] = json.loads(files("moodspace.realtime.sinks").joinpath("schema.json").read_text("utf-8"))
    return loaded


def check(document: dict[str, Any]) -> dict[str, Any]:
    """Return the document; raise if it does not follow the schema."""
    from jsonschema import Draft202012Validator

    Draft202012Validator(schema()).validate(document)
    return document


def frame(index: int = 7, source: str = "/home/anna/talks/clip.mp4") -> Frame:
    return Frame(source, index, index / 10, np.zeros((60, 80, 3), np.uint8), 10.0, captured=1_000_000.25 + index / 10)


def group_of(recognizer: Recognizer, count: int) -> LiveResult:
    """Return a result with so many readable faces, which all show the third class."""
    return live_result(recognizer, crowd(count, 320, 240), [recognizer.classes[2]] * count)


def wait_for(there: Callable[[], Any]) -> Any:
    """Wait until a function returns something true; return that."""
    ends = time.monotonic() + PATIENCE_S
    while not (found := there()):
        if time.monotonic() > ends:
            raise TimeoutError("it did not come")
        time.sleep(0.005)
    return found
