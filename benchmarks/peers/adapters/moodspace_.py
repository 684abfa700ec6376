"""Moodspace: `moodspace_.py TASK INPUTS ENVIRONMENT VIEW`, with `default` for the default view."""

import sys
from functools import cache
from itertools import count
from typing import Any

import numpy as np
from common import Detect, run

import moodspace as ms

model = ms.load(view=None if sys.argv[4] == "default" else sys.argv[4])


@cache
def pipeline() -> Any:
    """Return what `recognize_video` reads frames with."""
    from moodspace.embeddings.detection.detectors import open_detector
    from moodspace.realtime.pipeline import Pipeline

    return Pipeline(open_detector(), model.recognizer)


def detect(rgb: np.ndarray) -> int:
    """Find and label the faces of a frame on its own."""
    return len(pipeline().process(np.ascontiguousarray(rgb[..., ::-1]), 0.0).faces)


def live() -> Detect:
    """Begin a live session of 12 frames a second."""
    session, at = model.live(), count()
    return lambda rgb: len(session.process(np.ascontiguousarray(rgb[..., ::-1]), next(at) / 12).faces)


run(model.predict_proba, detect, [str(name) for name in model.classes_], ms.__version__, live)
